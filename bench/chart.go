package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The chart's measures, in pixels.
const (
	chartWidth  = 760
	labelWidth  = 330
	chartRow    = 22
	chartTop    = 46
	chartBottom = 30
)

// chart draws the report's ratios: a dot for the median, a line from quartile to quartile, on a logarithmic scale, where 1
// is what the peer takes.
func chart(r *Report) []byte {
	var rows []Ratio
	for _, s := range r.Sections {
		for _, q := range s.Ratios {
			if q.Target > 0 && q.N > 0 {
				q.Case = s.Name + ": " + q.Case
				rows = append(rows, q)
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	low, high := 0.5, 2.0
	for _, q := range rows {
		low, high = min(low, q.Q1), max(high, q.Q3)
	}
	x := func(v float64) float64 {
		return labelWidth + (chartWidth-labelWidth-20)*math.Log(v/low)/math.Log(high/low)
	}
	height := chartTop + chartRow*len(rows) + chartBottom
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="10" y="18" font-size="14">Ours by the peer's: left of 1 is faster or smaller</text>`+"\n")
	for _, tick := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10} {
		if tick < low || tick > high {
			continue
		}
		color := "#dddddd"
		if tick == 1 {
			color = "#666666"
		}
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>`+"\n", x(tick), x(tick), chartTop-8, height-chartBottom, color)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", x(tick), chartTop-12, tick)
	}
	for i, q := range rows {
		y := float64(chartTop + chartRow*i + chartRow/2)
		color := "#1a7f37"
		if q.Median > q.Target {
			color = "#bc4c00"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", labelWidth-10, y+4, escape(q.Case+", "+q.Peer))
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="3"/>`+"\n", x(q.Q1), x(q.Q3), y, y, color)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4.5" fill="%s"/>`+"\n", x(q.Median), y, color)
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="black" stroke-dasharray="2 2"/>`+"\n", x(q.Target), x(q.Target), y-8, y+8)
	}
	fmt.Fprintf(&b, `<text x="10" y="%d">dot: median; line: quartiles; dashes: target. %s</text>`+"\n</svg>\n", height-10, escape(r.where()))
	return b.Bytes()
}

// where says in a line where the numbers come from.
func (r *Report) where() string {
	var parts []string
	for _, k := range []string{"CPU", "kernel", "bpftool", "cilium/ebpf"} {
		parts = append(parts, k+" "+cmp.Or(r.Machine[k], "unknown"))
	}
	return strings.Join(slices.Compact(parts), ", ")
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}
