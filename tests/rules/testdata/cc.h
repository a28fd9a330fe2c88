#define CC 1
