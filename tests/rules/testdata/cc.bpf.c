#include "cc.h"

#if CC != 1 || CC_DEFINE != 3
#error "a header or a define of a cc_library is missing"
#endif

int nothing(void)
{
	return 0;
}
