#ifndef EVENT_H
#define EVENT_H
#include <linux/types.h>
#include "lib/time.h"
#endif
