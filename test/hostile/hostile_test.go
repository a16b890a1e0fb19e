package hostile_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/hostile"
)

// limit bounds an attack, whose numbers are small here: it says nothing about how long any takes.
const limit = 5 * time.Minute

func TestAttacks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(file, []byte(hostile.TokenFile), 0o600); err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "--token-auth-file", file)
	for _, attack := range hostile.Attacks() {
		t.Run(attack.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			scene, err := hostile.NewScene(ctx, server.Config(annex.ContextBase))
			if err != nil {
				t.Fatal(err)
			}
			strike, err := attack.Prepare(ctx, scene, attack.Few)
			if err != nil {
				t.Fatalf("preparing: %v", err)
			}
			if err := strike(ctx); err != nil {
				t.Error(err)
			}
			if ctx.Err() != nil {
				t.Errorf("the attack does not end within %s", limit)
			}
			if err := scene.Unharmed(t.Context()); err != nil {
				t.Error(err)
			}
			t.Logf("answers by code: %v", scene.Answers())
			if err := scene.Close(t.Context()); err != nil {
				t.Errorf("cleaning up: %v", err)
			}
		})
	}
	if server.Printed("Observed a panic") {
		t.Errorf("an attack made the server panic:\n%s", server.Log())
	}
	server.CheckData(t)
}

// Whoever reads docs/security.md finds every attack there.
// Limits keep a tenant that writes as much as it can from filling etcd, whose alarm would stop the writes of all tenants.
func TestFill_LimitsKeepEtcdFromItsAlarm(t *testing.T) {
	const quota, most, writes = 48 << 20, 8 << 20, 600
	file := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(file, []byte(hostile.TokenFile), 0o600); err != nil {
		t.Fatal(err)
	}
	etcd := annex.StartSmallEtcd(t, quota)
	server := annex.Start(t, "--token-auth-file", file, "--etcd-servers", etcd.URL(), "--max-objects-per-workspace", "1000", "--max-bytes-per-workspace", fmt.Sprint(most))
	scene, err := hostile.NewScene(t.Context(), server.Config(annex.ContextBase))
	if err != nil {
		t.Fatal(err)
	}
	attacks := hostile.Attacks()
	fill := attacks[slices.IndexFunc(attacks, func(a hostile.Attack) bool { return a.Name == "fill" })]
	strike, err := fill.Prepare(t.Context(), scene, writes)
	if err != nil {
		t.Fatal(err)
	}
	if err := strike(t.Context()); err != nil {
		t.Error(err)
	}
	if n := scene.Answers()[http.StatusForbidden]; n < writes/2 {
		t.Errorf("%d writes of %d are refused", n, writes)
	}
	if err := scene.Unharmed(t.Context()); err != nil {
		t.Error(err)
	}
	// Others can still write.
	other, err := hostile.NewScene(t.Context(), server.Config(annex.ContextBase))
	if err != nil {
		t.Fatalf("another tenant: %v", err)
	}
	for _, s := range []*hostile.Scene{scene, other} {
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	}
}

func TestAttacks_AreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, attack := range hostile.Attacks() {
		if !strings.Contains(string(document), fmt.Sprintf("`%s`", attack.Name)) {
			t.Errorf("docs/security.md does not name the attack %s", attack.Name)
		}
	}
}
