package kubelet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestCommand_FollowsTheTable(t *testing.T) {
	image := Image{Entrypoint: []string{"/e"}, Cmd: []string{"c"}}
	for name, test := range map[string]struct {
		command, args []string
		want          string
	}{
		"neither": {nil, nil, "/e c"}, "args": {nil, []string{"a"}, "/e a"},
		"command": {[]string{"/x"}, nil, "/x"}, "both": {[]string{"/x"}, []string{"a"}, "/x a"},
	} {
		if got := strings.Join(command(corev1.Container{Command: test.command, Args: test.args}, image, nil), " "); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
