package crd

import (
	"regexp/syntax"
	"strings"
	"testing"
)

func TestPatternSize_IsThatOfTheProgram(t *testing.T) {
	for _, pattern := range []string{
		``, `a`, `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, `(?:a.{0,950}b)|c`, `(a{3,}|b{2})*`, `((x{1,10}){0,20}y?)+`, `\p{L}{5,50}`, `(?i)straße`,
		`^(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?$`, strings.Repeat(`(a|bc|def)`, 50), `a{0}`, `(?:)`,
		strings.Repeat("a{100}", 100), `^(|a|b|c{2,3}?)$`,
	} {
		got, err := PatternSize(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if want := len(program.Inst); got < want*3/4 || got > want*3/2+6 {
			t.Errorf("%s: %d, but the program has %d instructions", pattern, got, want)
		}
	}
	if _, err := PatternSize(`(`); err == nil {
		t.Error("what is no pattern has a size")
	}
	// Parsing it would take a GiB.
	if got, err := PatternSize(strings.Repeat(`\p{L}`, 1<<18)); err != nil || got != 5<<18 {
		t.Errorf("%d, %v", got, err)
	}
}
