package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Stat is what is kept of a number of samples: the median, and the quartiles as its spread.
type Stat struct {
	N      int     `json:"n"`
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
}

// summarize takes the quartiles of samples, by linear interpolation.
func summarize(samples []float64) Stat {
	if len(samples) == 0 {
		return Stat{}
	}
	s := slices.Clone(samples)
	slices.Sort(s)
	at := func(q float64) float64 {
		pos := q * float64(len(s)-1)
		i := int(math.Floor(pos))
		j := min(i+1, len(s)-1)
		return s[i] + (s[j]-s[i])*(pos-float64(i))
	}
	return Stat{len(s), at(0.25), at(0.5), at(0.75)}
}

// contestant is one of those that are measured together.
type contestant struct {
	name string
	// run does the work once and returns how long it took, in the unit that the comparison is in.
	run func() (float64, error)
}

// compete runs all contestants once a round. Each round begins with another one, so that none always follows the same
// neighbour, and what the machine does meanwhile strikes all of them alike. One round goes before, unmeasured.
func compete(rounds int, who []contestant) (map[string][]float64, error) {
	samples := map[string][]float64{}
	for round := -1; round < rounds; round++ {
		for i := range who {
			c := who[(i+round+1)%len(who)]
			v, err := c.run()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round >= 0 {
				samples[c.name] = append(samples[c.name], v)
			}
		}
	}
	return samples, nil
}

// ratios divides what two contestants took in the same round.
func ratios(ours, peer []float64) []float64 {
	r := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(peer)) {
		if peer[i] > 0 {
			r = append(r, ours[i]/peer[i])
		}
	}
	return r
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
