package fit

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// MaxFaults is how many faults of one object are returned.
	MaxFaults = 20
	// maxField and maxMessage are how many bytes a Fault has at most: keys of objects, and rules of a schema, may be long.
	maxField, maxMessage = 256, 512
)

// Fault is why an object does not fit.
type Fault struct {
	// Version is the version in which the object is invalid.
	Version string
	// Field is the path of the field; empty for the object as a whole.
	Field string
	// Message says what the definition requires. It contains no value of the object.
	Message string
}

func newFault(version, path, message string) Fault {
	if path == "<nil>" { // what field.Path prints for no path
		path = ""
	}
	return Fault{Version: version, Field: path, Message: message}
}

// shorten cuts text between runes.
func shorten(text string, most int) string {
	const more = "..."
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(more)], "") + more
}

// sorted returns faults in the order of fields, without those that another version repeats, and how many there are beyond MaxFaults.
func sorted(faults []Fault) (first []Fault, more int) {
	type said struct{ field, message string }
	known := map[said]bool{}
	faults = slices.DeleteFunc(faults, func(f Fault) bool {
		key := said{f.Field, f.Message}
		again := known[key]
		known[key] = true
		return again
	})
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	n := min(len(faults), MaxFaults)
	for _, f := range faults[:n] {
		first = append(first, Fault{Version: f.Version, Field: shorten(f.Field, maxField), Message: shorten(f.Message, maxMessage)})
	}
	return first, len(faults) - n
}

// ofSchema returns what a schema requires, from an error of the stock validator, which may quote the value.
func ofSchema(err *field.Error) string {
	detail := err.Detail
	if _, after, ok := strings.Cut(detail, " in body "); ok { // "a.b in body must ..."
		detail = after
	}
	switch err.Type {
	case field.ErrorTypeRequired:
		return "is required"
	case field.ErrorTypeDuplicate:
		return "is in the list twice"
	case field.ErrorTypeNotSupported:
		return "is none of the " + strings.Replace(detail, "supported values", "allowed values", 1)
	case field.ErrorTypeTypeInvalid:
		// "must be of type date: "the value"", or after the colon the type that the value has.
		if required, _, ok := strings.Cut(detail, ": "); ok {
			return required
		}
		return detail
	case field.ErrorTypeInvalid, field.ErrorTypeTooLong, field.ErrorTypeTooMany:
		return detail
	}
	return "is not valid"
}

// ofMetadata returns what an object within the object must have, from an error of the stock validator, which may quote the value.
func ofMetadata(err *field.Error) string {
	if err.Type == field.ErrorTypeRequired {
		return "is required"
	}
	return "is not valid in an object"
}

// ofRule returns what a CEL rule requires, from an error of the stock validator.
func ofRule(err *field.Error) string {
	// Why a rule could not be evaluated may quote the value.
	for _, between := range []string{" evaluating rule: ", " signature for rule: ", " exceeds limit for rule: "} {
		if at := strings.LastIndex(err.Detail, between); at >= 0 {
			return "the rule cannot be evaluated: " + err.Detail[at+len(between):]
		}
	}
	if err.Detail == "" {
		return "a rule does not hold"
	}
	return err.Detail
}
