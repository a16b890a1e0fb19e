package machine

import (
	"errors"
	"testing"
)

type light string

func TestSteps_OnlyWhatTheTableSays(t *testing.T) {
	steps := Steps[light]{"red": {"green"}, "green": {"amber"}, "amber": {"red"}, "broken": nil}
	for step, want := range map[[2]light]bool{
		{"red", "green"}: true, {"green", "red"}: false, {"red", "red"}: true, {"broken", "broken"}: true, {"broken", "red"}: false,
		{"red", "blue"}: false, {"blue", "red"}: false, {"blue", "blue"}: false,
	} {
		err := steps.Check("a light", step[0], step[1])
		var fault *Fault
		if (err == nil) != want || err != nil && !errors.As(err, &fault) {
			t.Errorf("from %s to %s: %v", step[0], step[1], err)
		}
	}
}

func TestFault_Says(t *testing.T) {
	for want, err := range map[string]error{
		"a light in state red cannot become amber": Steps[light]{"red": nil, "amber": nil}.Check("a light", "red", "amber"),
		"a light in state red: no 7 of it":         Faultf("a light", light("red"), "no %d of it", 7),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
