#include "several/a.h"
