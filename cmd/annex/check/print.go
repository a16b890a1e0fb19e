package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes one line for each group version and one for each fault.
func (r *Report) Print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, gv := range r.GroupVersions {
		verdict := "ok"
		if len(gv.Faults) > 0 {
			verdict = "FAULT"
		}
		about := fmt.Sprintf("answers in %s with %s", gv.Took.Round(time.Millisecond), strings.Join(gv.Resources, ", "))
		if len(gv.Faults) > 0 {
			about = strings.Join(gv.Faults, "; ")
		}
		if gv.APIService != "" && len(gv.Faults) == 0 {
			about += " (" + gv.APIService + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", verdict, gv.Name, about)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if r.Good {
		_, err := fmt.Fprintf(out, "Annex is served by %s (Kubernetes %s).\n", r.Server, r.Version)
		return err
	}
	return nil
}

// PrintJSON writes the report for programs.
func (r *Report) PrintJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Err returns nil if there is no fault, or an error that counts the faulty group versions.
func (r *Report) Err() error {
	faulty := 0
	for _, gv := range r.GroupVersions {
		if len(gv.Faults) > 0 {
			faulty++
		}
	}
	if faulty == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d API group versions are not served correctly by %s", faulty, len(r.GroupVersions), r.Server)
}
