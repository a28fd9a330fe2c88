#include "base.h"
#define SHARED BASE
