// Package file reads and writes the files that a command line names.
//
// Reading is bounded: a file that is too large is an error, not all of the machine's memory. Writing is atomic for
// regular files, and goes through what is not one: a FIFO, a device, an open descriptor.
package file
