package kubeconfig

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// foreign is written as people do: in their own order, with comments, fields that clientcmd does not know, and quotes.
const foreign = `# my clusters
apiVersion: v1
kind: Config
current-context: work # do not change
contexts:
- name: work
  context:
    user: zoe
    cluster: work
- context: {cluster: home, user: zoe}
  name: home
clusters:
- name: work # the big one
  cluster:
    server: "https://work.example.com"
    certificate-authority-data: ` + longData + `
- name: home
  cluster:
    server: 'https://home.example.com'
    future-field: [1, 2]
users:
# rotated yearly
- name: zoe
  user:
    token: secret
# the end
`

// longData is longer than any line that a writer of YAML could want to break.
const longData = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"

func entry(name, token string) *Entry {
	e := &Entry{
		Name: name, cluster: &clientcmdapi.Cluster{Server: "https://h/x"}, user: &clientcmdapi.AuthInfo{Token: token},
		source: &Source{Cluster: &clientcmdapi.Cluster{}, User: &clientcmdapi.AuthInfo{}, merged: *clientcmdapi.NewConfig()},
	}
	if err := e.finish(false); err != nil {
		panic(err)
	}
	return e
}

func written(t *testing.T, e *Entry) []byte {
	t.Helper()
	data, err := clientcmd.Write(*e.Config())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// withoutAdded returns the lines of text that are in before, in the order of text.
func withoutAdded(text, before string) string {
	known := map[string]int{}
	for line := range strings.Lines(before) {
		known[line]++
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if known[line] > 0 {
			known[line]--
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestMerge_LeavesOthersAlone(t *testing.T) {
	indented := strings.NewReplacer("\n- ", "\n  - ", "\n  ", "\n    ", "\n# rotated", "\n  # rotated").Replace(foreign)
	for name, before := range map[string]string{"as kubectl indents": foreign, "indented lists": indented} {
		t.Run(name, func(t *testing.T) {
			after, err := merge([]byte(before), written(t, entry("root:team", "one")), false)
			if err != nil {
				t.Fatal(err)
			}
			if got := withoutAdded(string(after), before); got != before {
				t.Errorf("what was there has changed:\n%s\nis now\n%s", before, after)
			}
			config, err := clientcmd.Load(after)
			if err != nil {
				t.Fatal(err)
			}
			if config.CurrentContext != "work" || config.Contexts["root:team"] == nil || config.Clusters["root:team"].Server != "https://h/x" || config.AuthInfos["root:team"].Token != "one" || config.AuthInfos["zoe"].Token != "secret" {
				t.Errorf("merged:\n%s", after)
			}

			// The same again changes nothing; other credentials replace ours.
			again, err := merge(after, written(t, entry("root:team", "one")), false)
			if err != nil || string(again) != string(after) {
				t.Errorf("the same again: %v\n%s", err, again)
			}
			renewed, err := merge(after, written(t, entry("root:team", "two")), true)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(strings.Replace(string(after), "token: one", "token: two", 1), "current-context: work", "current-context: root:team", 1)
			if string(renewed) != want {
				t.Errorf("renewed:\n%s\nwant:\n%s", renewed, want)
			}
		})
	}
}

func TestMerge_RefusesForeignNames(t *testing.T) {
	for _, name := range []string{"work", "home", "zoe"} {
		if _, err := merge([]byte(foreign), written(t, entry(name, "one")), false); !errors.Is(err, errForeign) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMerge_OddFiles(t *testing.T) {
	added := written(t, entry("root:team", "one"))
	for name, before := range map[string]string{
		"empty":          "",
		"comments alone": "# nothing\n",
		"empty lists":    "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: null\nusers:\npreferences: {}\ncurrent-context: \"\"\n",
		"no lists":       "apiVersion: v1\nkind: Config\n",
		"JSON":           `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":"https://c"}}],"contexts":[],"users":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			after, err := merge([]byte(before), added, true)
			if err != nil {
				t.Fatal(err)
			}
			config, err := clientcmd.Load(after)
			if err != nil {
				t.Fatal(err)
			}
			if config.CurrentContext != "root:team" || config.Contexts["root:team"] == nil || config.Clusters["root:team"] == nil || config.AuthInfos["root:team"] == nil {
				t.Errorf("merged:\n%s", after)
			}
			if name == "JSON" && config.Clusters["c"] == nil {
				t.Errorf("lost: %s", after)
			}
		})
	}
	for name, before := range map[string]string{
		"a list": "- a\n", "no YAML": "a: b: c", "clusters is text": "clusters: text\n", "two documents": "apiVersion: v1\n---\nkind: Config\n",
		"another kind": "apiVersion: apps/v1\nkind: Deployment\n",
	} {
		if after, err := merge([]byte(before), added, true); err == nil {
			t.Errorf("%s: %s", name, after)
		}
	}
}
