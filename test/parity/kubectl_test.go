package parity

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/test/framework/host"
)

// TestKubectl runs the same command lines against both servers and compares what they print.
func TestKubectl(t *testing.T) {
	t.Parallel()
	scripts, err := LoadScripts()
	if err != nil {
		t.Fatal(err)
	}
	w := start(t)
	binary, err := host.Binary("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	stock, workspace := newTerminal(t, binary, w.hostConfig), newTerminal(t, binary, w.workspaceConfig)
	t.Run("scripts", func(t *testing.T) {
		for _, script := range scripts {
			t.Run(script.Name, func(t *testing.T) {
				t.Parallel()
				id := newID()
				w.makeNamespace(t, id)
				for i, command := range script.Commands {
					var printed [2]map[string]any
					var sides sync.WaitGroup
					for side, terminal := range []*terminal{stock, workspace} {
						sides.Go(func() { printed[side] = terminal.run(t.Context(), command, id) })
					}
					sides.Wait()
					var diffs []Diff
					compare("", printed[0], printed[1], func(path string, stock, annex any) {
						diffs = append(diffs, Diff{Step: i + 1, Path: path, Stock: show(stock), Annex: show(annex)})
					})
					w.report(t, script.Name+": "+command.Run, diffs)
				}
			})
		}
	})
}

// terminal runs kubectl for one server.
type terminal struct{ binary, home, kubeconfig string }

func newTerminal(tb testing.TB, binary string, config *rest.Config) *terminal {
	tb.Helper()
	return &terminal{binary: binary, home: tb.TempDir(), kubeconfig: kubeconfig(tb, config)}
}

// run returns what a command prints and how it ends.
func (t *terminal) run(ctx context.Context, c Command, namespace string) map[string]any {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := append([]string{"--kubeconfig", t.kubeconfig, "--namespace", namespace, "--cache-dir", filepath.Join(t.home, "cache")}, c.Arguments(namespace)...)
	command := exec.CommandContext(ctx, t.binary, args...)
	command.Env = append(os.Environ(), "HOME="+t.home)
	command.Stdin = strings.NewReader(strings.ReplaceAll(c.Stdin, "$ns", namespace))
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	end := "0"
	if err := command.Run(); err != nil {
		end = fmt.Sprint(err)
	}
	return map[string]any{"end": end, "stdout": NormalizePrinted(out.String()), "stderr": NormalizePrinted(errs.String())}
}

// kubeconfig writes credentials to a file for kubectl.
func kubeconfig(tb testing.TB, config *rest.Config) string {
	tb.Helper()
	const name = "parity"
	path := filepath.Join(tb.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(api.Config{
		Clusters: map[string]*api.Cluster{name: {Server: config.Host, CertificateAuthority: config.CAFile, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*api.AuthInfo{name: {
			ClientCertificate: config.CertFile, ClientCertificateData: config.CertData, ClientKey: config.KeyFile, ClientKeyData: config.KeyData, Token: config.BearerToken,
		}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path); err != nil {
		tb.Fatal(err)
	}
	return path
}
