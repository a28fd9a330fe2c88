package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is one run of the benchmarks, as it is written to JSON.
type Report struct {
	Machine  map[string]string `json:"machine"`
	Sections []*Section        `json:"sections"`
}

// Section is one question: what was measured, and what came out.
type Section struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Rows are measurements, Ratios compare ours with a peer's.
	Rows   []Row    `json:"rows,omitempty"`
	Ratios []Ratio  `json:"ratios,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

// Row is a measurement of one contestant.
type Row struct {
	Case string `json:"case"`
	Who  string `json:"who"`
	Unit string `json:"unit"`
	Stat
}

// Ratio is ours by a peer's, round by round.
type Ratio struct {
	Case string `json:"case"`
	Ours string `json:"ours"`
	Peer string `json:"peer"`
	Stat
	// Max is the largest, where each sample is another object.
	Max float64 `json:"max,omitempty"`
	// Target is what the median should not exceed, 0 for none.
	Target float64 `json:"target,omitempty"`
}

// add records what contestants took in one case.
func (s *Section) add(name, unit string, who []contestant, samples map[string][]float64) {
	for _, c := range who {
		s.Rows = append(s.Rows, Row{name, c.name, unit, summarize(samples[c.name])})
	}
}

// compare records a ratio.
func (s *Section) compare(name, ours, peer string, r []float64, target float64) {
	s.Ratios = append(s.Ratios, Ratio{Case: name, Ours: ours, Peer: peer, Stat: summarize(r), Target: target})
}

func (s *Section) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// verdict says whether a target is met.
func (r Ratio) verdict() string {
	switch {
	case r.Target == 0:
		return ""
	case r.Median <= r.Target:
		return fmt.Sprintf("met (%.3g)", r.Target)
	}
	return fmt.Sprintf("MISSED (%.3g)", r.Target)
}

// text writes a section as tables.
func (s *Section) text(w io.Writer) error {
	fmt.Fprintf(w, "\n%s: %s\n\n", s.Name, s.About)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(s.Rows) > 0 {
		fmt.Fprintln(t, "case\twho\tmedian\tquartiles\tunit\tn\t")
		for _, r := range s.Rows {
			fmt.Fprintf(t, "%s\t%s\t%.4g\t%.4g .. %.4g\t%s\t%d\t\n", r.Case, r.Who, r.Median, r.Q1, r.Q3, r.Unit, r.N)
		}
		fmt.Fprintln(t, "\t\t\t\t\t\t")
	}
	if len(s.Ratios) > 0 {
		fmt.Fprintln(t, "case\tours / peer\tratio\tquartiles\ttarget\tn\t")
		for _, r := range s.Ratios {
			spread := fmt.Sprintf("%.2f .. %.2f", r.Q1, r.Q3)
			if r.Max > 0 {
				spread += fmt.Sprintf(", max %.2f", r.Max)
			}
			fmt.Fprintf(t, "%s\t%s / %s\t%.2f\t%s\t%s\t%d\t\n", r.Case, r.Ours, r.Peer, r.Median, spread, r.verdict(), r.N)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "  * %s\n", n)
	}
	return nil
}
