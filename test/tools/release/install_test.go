package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// typed returns what the page asks the reader to type.
func typed(t *testing.T, page []byte) string {
	t.Helper()
	var script strings.Builder
	for _, block := range shellBlock.FindAllSubmatch(page, -1) {
		script.Write(block[1])
	}
	if script.Len() == 0 {
		t.Fatal("the page has no commands")
	}
	return script.String()
}

// The page works as typed, by somebody who has nothing but the tools of every machine, from a signed release.
func TestInstall_WorksAsTyped(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa"} {
		t.Run(kind, func(t *testing.T) {
			if _, err := exec.LookPath("openssl"); err != nil {
				t.Skip("this machine has no openssl")
			}
			o := testOptions(t)
			o.key = newKey(t, kind)
			files, _ := written(t, o)
			home := t.TempDir()
			bash := func(script string) (string, error) {
				command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
				command.Dir, command.Env = o.out, []string{"PATH=/usr/bin:/bin", "HOME=" + home}
				out, err := command.CombinedOutput()
				return string(out), err
			}
			out, err := bash(typed(t, files["INSTALL.md"]))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{
				"annex-" + testVersion + "-linux-amd64.tar.gz: OK", "provenance.json: OK", "Signature Verified Successfully",
				"annex for linux/amd64 called with version", "kubectl-annex for linux/amd64 called with --help",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("the page does not lead to %q:\n%s", want, out)
				}
			}
			if id := strings.Fields(strings.SplitAfter(out, "= ")[1])[0]; !strings.Contains(string(files["INSTALL.md"]), id) {
				t.Errorf("the page does not name key %s", id)
			}
			// kubectl asks for completions.
			if out, err := bash("~/.local/bin/kubectl_complete-annex ws ''"); err != nil || out != "kubectl-annex for linux/amd64 called with __complete ws \n" {
				t.Errorf("completion prints %q, %v", out, err)
			}
			// A file that was changed on its way, and checksums that were changed with it.
			for changed, check := range map[string]string{
				"annex-" + testVersion + "-linux-amd64.tar.gz": "sha256sum", "SHA256SUMS": "openssl pkeyutl",
			} {
				if err := os.WriteFile(filepath.Join(o.out, changed), append(files[changed], "\n"...), 0o600); err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(typed(t, files["INSTALL.md"])) {
					if !strings.HasPrefix(line, check) {
						continue
					}
					if out, err := bash(line); err == nil {
						t.Errorf("%s passes with another %s:\n%s", line, changed, out)
					}
				}
				if err := os.WriteFile(filepath.Join(o.out, changed), files[changed], 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
