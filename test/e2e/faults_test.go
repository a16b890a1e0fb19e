package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/lacking"
)

// snapshot returns every file below root with its mode and the hash of its content.
func snapshot(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprint(&out, path, " ", info.Mode())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %x", sha256.Sum256(content))
		}
		fmt.Fprintln(&out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// busyPort returns a port of the loopback interface that is taken while the test runs.
func busyPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestServe_FaultIsOneLineAndChangesNothing(t *testing.T) {
	type fault struct {
		args []string
		// want is what the line must hold: what is wrong, and how to mend it.
		want []string
	}
	for name, prepare := range map[string]func(t *testing.T, dir string) fault{
		"an unknown flag": func(*testing.T, string) fault {
			return fault{[]string{"--etcd-server=http://127.0.0.1:1"}, []string{"--etcd-server", "annex serve --help"}}
		},
		"a flag without sense": func(*testing.T, string) fault {
			return fault{[]string{"--request-timeout=soon"}, []string{"--request-timeout", "soon"}}
		},
		"two wrong values at once": func(*testing.T, string) fault {
			return fault{[]string{"--etcd-prefix=annex", "--shard-external-url=annex.example.com"},
				[]string{"--etcd-prefix", "/annex", "--shard-external-url", "https://"}}
		},
		"an argument too many": func(*testing.T, string) fault { return fault{[]string{"now"}, []string{"now"}} },
		"a file that is not there": func(*testing.T, string) fault {
			return fault{[]string{"--client-ca-file=missing.pem"}, []string{"--client-ca-file", "missing.pem"}}
		},
		"a token file that is none": func(t *testing.T, dir string) fault {
			file := write(t, filepath.Join(dir, "tokens"), "secret\n")
			return fault{[]string{"--token-auth-file=" + file}, []string{file, "3 columns"}}
		},
		"a client CA without a certificate": func(t *testing.T, dir string) fault {
			file := write(t, filepath.Join(dir, "ca.pem"), "secret\n")
			return fault{[]string{"--client-ca-file=" + file}, []string{file, "certificates"}}
		},
		"an audit policy that is none": func(t *testing.T, dir string) fault {
			file := write(t, filepath.Join(dir, "policy"), "apiVersion: v1\n")
			return fault{[]string{"--audit-policy-file=" + file}, []string{"--audit-policy-file", file}}
		},
		"a certificate without key": func(t *testing.T, dir string) fault {
			file := write(t, filepath.Join(dir, "tls.crt"), "")
			return fault{[]string{"--tls-cert-file=" + file}, []string{"--tls-private-key-file"}}
		},
		"a busy port": func(t *testing.T, _ string) fault {
			port := busyPort(t)
			return fault{[]string{"--secure-port=" + port}, []string{"--secure-port", port, "in use", "set another port"}}
		},
		"data of a newer release": func(t *testing.T, _ string) fault {
			etcd := annex.StartEtcd(t)
			etcd.Put("/annex/version", "1000")
			return fault{[]string{"--etcd-servers=" + etcd.URL()}, []string{"/annex", `version "1000"`, "run the release that wrote the data", "backup"}}
		},
		"a store that is no etcd": func(t *testing.T, _ string) fault {
			url := lacking.Kine().Start(t, annex.StartEtcd(t).Address())
			return fault{[]string{"--etcd-servers=" + url}, []string{url, "transactions with several compares", "use etcd"}}
		},
		"data of something else": func(t *testing.T, dir string) fault {
			write(t, filepath.Join(dir, "root", "etcd-server", "base", "1"), "relation")
			return fault{nil, []string{"etcd-server", "base", "--root-directory"}}
		},
		"data of another etcd": func(t *testing.T, dir string) fault {
			write(t, filepath.Join(dir, "root", "etcd-server", "member", "snap", "db"), "pages")
			return fault{nil, []string{"etcd-server", "another etcd", "--root-directory"}}
		},
		"a kubeconfig of something else": func(t *testing.T, dir string) fault {
			file := write(t, filepath.Join(dir, "config"), "apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user: {token: x}\n")
			return fault{[]string{"--kubeconfig-path=" + file}, []string{file, "--kubeconfig-path"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fault := prepare(t, dir)
			before := snapshot(t, dir)
			stdout, stderr, code := annex.Run(t, append([]string{"serve", "--root-directory", filepath.Join(dir, "root"),
				"--bind-address", "127.0.0.1", "--secure-port", "0"}, fault.args...)...)
			if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, want 1 and one line on stderr:\n%s%s", code, stdout, stderr)
			}
			for _, want := range append(fault.want, "annex: ") {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q is not in: %s", want, stderr)
				}
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

func TestServe_DamagedDataIsOneLine(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etcd-server", "annex.lock"), "")
	write(t, filepath.Join(dir, "etcd-server", "member", "snap", "db"), strings.Repeat("noise", 10000))
	stdout, stderr, code := annex.Run(t, "serve", "--root-directory", dir, "--bind-address", "127.0.0.1", "--secure-port", "0")
	if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "invalid database") || !strings.Contains(stderr, "backup") {
		t.Errorf("exit code %d, want 1 and one line that says how to mend it:\n%s%s", code, stdout, stderr)
	}
}

func TestServe_DirectoryInUseIsRefused(t *testing.T) {
	server := annex.Start(t)
	kubeconfig, err := os.ReadFile(server.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	_, stderr, code := annex.Run(t, "serve", "--root-directory", server.Dir(), "--bind-address", "127.0.0.1", "--secure-port", "0")
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "another process uses "+server.Dir()) || !strings.Contains(stderr, "--root-directory") {
		t.Errorf("exit code %d, want 1 and one line:\n%s", code, stderr)
	}
	if after, err := os.ReadFile(server.Kubeconfig()); err != nil || string(after) != string(kubeconfig) {
		t.Errorf("the second server changed the kubeconfig of the first: %v", err)
	}
	server.Kubectl("root", "", "create", "configmap", "still-served")
}

func TestVersion_NamesServerAndKubernetes(t *testing.T) {
	stdout, stderr, code := annex.Run(t, "version")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "annex ") || !strings.Contains(stdout, "\nkubernetes v") || !strings.Contains(stdout, "\ngo1.") {
		t.Errorf("exit code %d:\n%s%s", code, stdout, stderr)
	}
}
