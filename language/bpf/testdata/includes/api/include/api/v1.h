#include "v2.h"
