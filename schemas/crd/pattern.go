package crd

import (
	"regexp/syntax"
)

// longestPattern is how many bytes a pattern may have. The parser makes up to some KiB of one byte.
const longestPattern = 4 << 10

// PatternSize returns about how many instructions a regular expression has when it is compiled, without compiling it: a few bytes such
// as (.{0,900}x)* may stand for thousands. Matching a text takes time in proportion to this number and the length of the text. The error
// says why pattern is none; of a pattern that is longer than a schema may have, the size is its length in bytes.
func PatternSize(pattern string) (int, error) {
	if len(pattern) > longestPattern {
		return len(pattern), nil
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	return instructions(parsed) + 2, nil // it fails and it matches
}

// instructions follows regexp/syntax, where repetitions are copies.
func instructions(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return max(1, len(re.Rune))
	case syntax.OpCapture:
		return n + 2
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		return n + 2
	case syntax.OpRepeat:
		if re.Max < 0 {
			return max(1, re.Min)*n + 2
		}
		return max(1, re.Max*n+re.Max-re.Min)
	case syntax.OpAlternate:
		return n + len(re.Sub) - 1
	case syntax.OpConcat:
		return n
	default:
		return 1
	}
}
