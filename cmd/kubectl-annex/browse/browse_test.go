package browse

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// planted returns root with root:a:b, root:a:c and root:d.
func planted() *tree.Node {
	var all []tenancyv1alpha1.Workspace
	for _, path := range []logicalcluster.Path{"root:a", "root:a:b", "root:a:c", "root:d"} {
		parent, name := path.Split()
		_, in := parent.Split()
		w := tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{logicalcluster.AnnotationKey: in}}}
		w.Spec.URL, w.Spec.Cluster = "https://annex/clusters/"+path.String(), name
		all = append(all, w)
	}
	return tree.Plant("root", "root", all)
}

func TestPress(t *testing.T) {
	for name, test := range map[string]struct {
		from   logicalcluster.Path
		typed  string
		want   logicalcluster.Path
		rows   int
		result Outcome
	}{
		"begins at the current workspace": {"root:a:c", "", "root:a:c", 5, Continue},
		"up and down":                     {"root:a:c", "kkj\x1b[B", "root:a:c", 5, Continue},
		"not beyond the first":            {"root", "kkk", "root", 3, Continue},
		"not beyond the last":             {"root", "jjjjj", "root:d", 3, Continue},
		"open":                            {"root", "jl", "root:a", 5, Continue},
		"open with an arrow":              {"root", "j\x1b[C", "root:a", 5, Continue},
		"close":                           {"root:a:c", "kkh", "root:a", 3, Continue},
		"to the parent":                   {"root:a:c", "\x7f", "root:a", 5, Continue},
		"toggle":                          {"root", "j  ", "root:a", 3, Continue},
		"choose":                          {"root:a:c", "k\r", "root:a:b", 5, Choose},
		"quit":                            {"root", "q", "root", 3, Quit},
		"escape":                          {"root", "\x1b", "root", 3, Quit},
		"other keys":                      {"root", "xyz\x1b[5~\x1b[1;5C", "root", 3, Continue},
	} {
		ctx := t.Context()
		b := New(ctx, planted(), test.from)
		result := Continue
		for _, key := range ParseKeys([]byte(test.typed)) {
			if result = b.Press(ctx, key); result != Continue {
				break
			}
		}
		if got := b.Selected(ctx).Path; got != test.want || len(b.rows(ctx)) != test.rows || result != test.result {
			t.Errorf("%s: at %s with %d rows, %v; want %s with %d rows, %v", name, got, len(b.rows(ctx)), result, test.want, test.rows, test.result)
		}
	}
}

func TestView(t *testing.T) {
	ctx := t.Context()
	b := New(ctx, planted(), "root:a")
	b.details[b.Selected(ctx)] = []string{"root:a", "binds \x1b[31mx"}
	want := []string{"  - root", ">   - a", "      + b", "      + c", "    + d", "", "root:a", `binds ^[[31mx`, "", help}
	if got := b.View(ctx, 80, 24); !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	// A small screen shows the cursor, and is not exceeded.
	for height := 4; height < 12; height++ {
		lines := b.View(ctx, 10, height)
		if len(lines) > height || !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "> ") }) {
			t.Errorf("height %d: %q", height, lines)
		}
		for _, line := range lines {
			if len(line) > 10 {
				t.Errorf("%q is wider than the screen", line)
			}
		}
	}
}

func TestRun_NeedsATerminal(t *testing.T) {
	ctx := t.Context()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if node, err := Run(ctx, file, os.Stderr, New(ctx, planted(), "root"), nil); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("%v, %v", node, err)
	}
}
