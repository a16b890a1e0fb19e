package near

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// suggested is how many names are suggested at most, and shown is how many are listed if none is like the one that was typed.
const suggested, shown = 3, 5

// Names returns those of names that are like typed: up to two letters differ, but no more than half of them, or the name begins with typed. There are at most three, in the order
// of names.
func Names(typed string, names []string) []string {
	if typed == "" {
		return nil
	}
	// Cobra compares with the names of commands only.
	known := &cobra.Command{SuggestionsMinimumDistance: min(2, len(typed)/2)}
	for _, name := range names {
		known.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	found := known.SuggestionsFor(typed)
	return found[:min(len(found), suggested)]
}

// Hint returns the end of a message about a name that does not exist: which of names may be meant or, if none is like it, which there are. Each
// is shown behind prefix. It is empty if there are no names.
func Hint(typed string, names []string, prefix string) string {
	if similar := Names(typed, names); len(similar) > 0 {
		return fmt.Sprintf("; did you mean %s?", List(similar, prefix, "or"))
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return "; there is only " + List(names, prefix, "and")
	}
	return "; there are " + List(names, prefix, "and")
}

// List returns, for example, `"a", "b" and "c"`. Of many names it shows the first ones, and says how many more there are.
func List(names []string, prefix, last string) string {
	var parts []string
	for _, name := range names[:min(len(names), shown)] {
		parts = append(parts, fmt.Sprintf("%q", prefix+name))
	}
	if more := len(names) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	end := len(parts) - 1
	return strings.Join(parts[:end], ", ") + " " + last + " " + parts[end]
}
