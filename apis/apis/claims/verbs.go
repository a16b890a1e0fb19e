package claims

import "slices"

// AllVerbs stands for every verb in the list of a claim.
const AllVerbs = "*"

// Allows reports whether a list of verbs contains verb.
func Allows(verbs []string, verb string) bool {
	return slices.Contains(verbs, verb) || slices.Contains(verbs, AllVerbs)
}

// Intersect returns the verbs that both lists contain, in the order of a. A list with * contains every verb.
func Intersect(a, b []string) []string {
	switch {
	case slices.Contains(a, AllVerbs) && slices.Contains(b, AllVerbs):
		return []string{AllVerbs}
	case slices.Contains(a, AllVerbs):
		return slices.Clone(b)
	}
	var both []string
	for _, verb := range a {
		if Allows(b, verb) {
			both = append(both, verb)
		}
	}
	return both
}
