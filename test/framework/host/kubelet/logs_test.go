package kubelet

import (
	"testing"
)

func TestLastLines(t *testing.T) {
	for count, want := range map[int]string{-1: "a\nb\nc\n", 0: "", 1: "c\n", 2: "b\nc\n", 3: "a\nb\nc\n", 9: "a\nb\nc\n"} {
		if got := string(lastLines([]byte("a\nb\nc\n"), count)); got != want {
			t.Errorf("the last %d lines are %q, want %q", count, got, want)
		}
	}
}
