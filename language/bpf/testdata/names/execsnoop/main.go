package main

import "example.com/user/execsnoop/execsnoop"

func main() { _ = execsnoop.Load }
