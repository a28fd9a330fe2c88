

#include "missing.h"
