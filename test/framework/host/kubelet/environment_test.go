package kubelet

import (
	"testing"
)

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "B": "$(A)"}
	for text, want := range map[string]string{
		"plain": "plain", "$(A)": "1", "x$(A)y$(A)": "x1y1", "$(B)": "$(A)", "$(C)": "$(C)",
		"$$(A)": "$(A)", "$$$(A)": "$1", "$": "$", "$A": "$A", "$(A": "$(A", "a$$": "a$",
	} {
		if got := expand(text, env); got != want {
			t.Errorf("%q expands to %q, want %q", text, got, want)
		}
	}
}
