package change

import "strconv"

// bounds compares what limits a value.
func (l *log) bounds(from, to *props, field string) {
	l.least(field, "its value", from.Minimum, to.Minimum)
	l.most(field, "its value", from.Maximum, to.Maximum)
	l.only(field, "the minimum itself", from.Minimum != nil && from.ExclusiveMinimum, to.Minimum != nil && to.ExclusiveMinimum)
	l.only(field, "the maximum itself", from.Maximum != nil && from.ExclusiveMaximum, to.Maximum != nil && to.ExclusiveMaximum)
	for _, b := range []struct {
		what        string
		oldMin, min *int64
		oldMax, max *int64
	}{
		{"its length", from.MinLength, to.MinLength, from.MaxLength, to.MaxLength},
		{"the number of items", from.MinItems, to.MinItems, from.MaxItems, to.MaxItems},
		{"the number of fields", from.MinProperties, to.MinProperties, from.MaxProperties, to.MaxProperties},
	} {
		l.least(field, b.what, float(b.oldMin), float(b.min))
		l.most(field, b.what, float(b.oldMax), float(b.max))
	}
	l.only(field, "equal items", from.UniqueItems, to.UniqueItems)
	l.form(field, "pattern", from.Pattern, to.Pattern)
	l.form(field, "format", from.Format, to.Format)
	l.form(field, "multipleOf", number(from.MultipleOf), number(to.MultipleOf))
}

func float(n *int64) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

func number(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'g', -1, 64)
}

// least compares a lower bound.
func (l *log) least(field, what string, from, to *float64) {
	switch {
	case to == nil && from == nil, to != nil && from != nil && *to == *from:
	case to == nil:
		l.compatible(shown(field), "%s may be less than %s", what, number(from))
	case from == nil || *to > *from:
		l.breaking(shown(field), "%s must be at least %s", what, number(to))
	default:
		l.compatible(shown(field), "%s may be %s, the least was %s", what, number(to), number(from))
	}
}

// most compares an upper bound.
func (l *log) most(field, what string, from, to *float64) {
	switch {
	case to == nil && from == nil, to != nil && from != nil && *to == *from:
	case to == nil:
		l.compatible(shown(field), "%s may be more than %s", what, number(from))
	case from == nil || *to < *from:
		l.breaking(shown(field), "%s must be at most %s", what, number(to))
	default:
		l.compatible(shown(field), "%s may be %s, the most was %s", what, number(to), number(from))
	}
}

// only compares whether something is forbidden.
func (l *log) only(field, what string, from, to bool) {
	switch {
	case !from && to:
		l.breaking(shown(field), "no longer allowed: %s", what)
	case from && !to:
		l.compatible(shown(field), "allowed: %s", what)
	}
}

// form compares what a value must be like.
func (l *log) form(field, what, from, to string) {
	switch {
	case from == to:
	case to == "":
		l.compatible(shown(field), "%s %s is removed", what, from)
	case from == "":
		l.breaking(shown(field), "has the %s %s", what, to)
	default:
		l.breaking(shown(field), "the %s changes from %s to %s", what, from, to)
	}
}
