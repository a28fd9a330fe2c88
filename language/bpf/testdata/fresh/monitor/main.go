package main

import (
	"example.com/user/monitor/block"
	"example.com/user/monitor/exec"
	"example.com/user/monitor/net"
)

func main() { _, _, _ = block.Load, exec.Load, net.Load }
