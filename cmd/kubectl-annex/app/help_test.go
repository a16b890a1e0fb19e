package app

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// help returns what the help of a command says.
func help(t *testing.T, called string, path []string) string {
	t.Helper()
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	if err := New(called, append(path, "--help"), streams).ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Each help begins with what the command does, has examples that begin as one types them, and does not drown in flags for connections.
func TestHelp(t *testing.T) {
	for called, typed := range map[string]string{"kubectl-annex": "kubectl annex", "kubectl-ws": "kubectl ws", "kubectl-kcp": "kubectl kcp", "kubectl-create-workspace": "kubectl create workspace"} {
		var visit func(command *cobra.Command, path []string)
		visit = func(command *cobra.Command, path []string) {
			for _, below := range command.Commands() {
				if below.IsAvailableCommand() && below.Name() != "help" {
					visit(below, append(path[:len(path):len(path)], below.Name()))
				}
			}
			line := strings.Join(append([]string{typed}, path...), " ")
			text := help(t, called, path)
			first, _, _ := strings.Cut(text, "\n")
			if first == "" || strings.HasPrefix(first, "Usage") || first[0] < 'A' || first[0] > 'Z' {
				t.Errorf("%s: the help begins with %q", line, first)
			}
			_, examples, ok := strings.Cut(text, "\nExamples:\n")
			examples, _, _ = strings.Cut(examples, "\n\nFlags:")
			examples, _, _ = strings.Cut(examples, "\n\nAvailable Commands:")
			if !ok {
				t.Errorf("%s: no examples", line)
			}
			for example := range strings.SplitSeq(examples, "\n") {
				if example != "" && !strings.HasPrefix(example, "  # ") && !strings.Contains(example, typed) {
					t.Errorf("%s: an example is %q", line, example)
				}
			}
			if strings.Contains(text, "--kubeconfig string") || strings.Contains(text, "--as string") || !strings.Contains(text, "options\" for a list of flags that all commands have") {
				t.Errorf("%s: the help lists flags that all commands have:\n%s", line, text)
			}
		}
		streams, _, _, _ := genericiooptions.NewTestIOStreams()
		visit(New(called, nil, streams), nil)
	}
}

// What no help lists is listed by options, and can be given to each command.
func TestOptions(t *testing.T) {
	for _, called := range []string{"kubectl-annex", "kubectl-kcp"} {
		streams, _, out, _ := genericiooptions.NewTestIOStreams()
		root := New(called, []string{"options"}, streams)
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"--as string", "--context string", "--kubeconfig string", "-n, --namespace string", "-s, --server string"} {
			if !strings.Contains(out.String(), flag) {
				t.Errorf("%s options lacks %s:\n%s", called, flag, out)
			}
		}
	}
}

// The flags that no help lists are completed.
func TestHelp_FlagsAreCompleted(t *testing.T) {
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	if err := New("kubectl-annex", []string{cobra.ShellCompRequestCmd, "tree", "--conte"}, streams).ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "--context\t") {
		t.Errorf("the flag is completed to %q", out)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 10239: "10239", 10240: "10Ki", 10241: "11Ki", 12 << 20: "12Mi", 9 << 20: "9216Ki", 100 << 30: "100Gi", 5 << 50: "5120Ti"} {
		if got := size(&n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if got := size(nil); got != "-" {
		t.Errorf("nothing: %s", got)
	}
}
