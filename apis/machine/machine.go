package machine

import (
	"fmt"
	"slices"
)

// Steps says which states may follow each state. Every state is a key, and may follow itself.
type Steps[S ~string] map[S][]S

// Fault is a step that the machine does not have.
type Fault struct {
	// Of is the kind of the object, with an article, for example an APIBinding.
	Of string
	// From and To are states. To is empty if the fault is not in the state, but in what Why says.
	From, To string
	// Why says more; empty if the table says all.
	Why string
}

// Error implements error.
func (f *Fault) Error() string {
	text := f.Of + " in state " + f.From
	if f.To != "" {
		text += " cannot become " + f.To
	}
	if f.Why != "" {
		text += ": " + f.Why
	}
	return text
}

// Check returns a *Fault if the machine of an object has no step between two states.
func (s Steps[S]) Check(of string, from, to S) error {
	next, known := s[from]
	_, exists := s[to]
	if known && exists && (from == to || slices.Contains(next, to)) {
		return nil
	}
	return &Fault{Of: of, From: string(from), To: string(to)}
}

// Faultf returns the fault of an object that stays in a state, or comes to it, in a way that the machine does not have.
func Faultf[S ~string](of string, from S, format string, args ...any) error {
	return &Fault{Of: of, From: string(from), Why: fmt.Sprintf(format, args...)}
}
