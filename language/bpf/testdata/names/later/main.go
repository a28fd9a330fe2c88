package main

import "example.com/user/later/later"

func main() { _ = later.Load }
