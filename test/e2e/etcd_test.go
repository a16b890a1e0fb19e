package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/lacking"
)

func TestCheckEtcd(t *testing.T) {
	etcd := annex.StartEtcd(t)
	before := etcd.Revision()
	slow := &lacking.Store{Delay: 150 * time.Millisecond}
	t.Run("stores", func(t *testing.T) { // ends when the parallel tests have
		for name, tc := range map[string]struct {
			servers    string
			code       int
			out, wants string // what standard output holds, and standard error
		}{
			"etcd":              {etcd.URL(), 0, " has what Annex needs, and a commit takes ", ""},
			"no etcd":           {lacking.Kine().Start(t, etcd.Address()), 1, "", "transactions with several compares"},
			"a slow one":        {slow.Start(t, etcd.Address()), 0, "warning: a commit in etcd takes 1", ""},
			"one that is away":  {"http://127.0.0.1:1", 1, "", "check that it is running and that --etcd-servers and --etcd-servers-overrides are correct"},
			"none":              {"", 1, "", "--etcd-servers: set the URLs"},
			"something else":    {"etcd:2379", 1, "", "must be a URL"},
			"one without a key": {etcd.URL() + " --etcd-certfile=missing", 1, "", "--etcd-certfile"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				args := strings.Fields("check etcd --etcd-servers=" + tc.servers)
				out, errs, code := annex.Run(t, args...)
				if code != tc.code || !strings.Contains(out, tc.out) || !strings.Contains(errs, tc.wants) || (tc.wants == "") != (errs == "") || strings.Count(errs, "\n") > 1 {
					t.Errorf("exit code %d:\n%s%s", code, out, errs)
				}
			})
		}
	})
	if after := etcd.Revision(); after != before {
		t.Errorf("the revision was %d and is %d", before, after)
	}
}

func TestEtcd_WarningsAtTheStart(t *testing.T) {
	slow := &lacking.Store{Delay: 150 * time.Millisecond}
	_, errs, code := annex.Run(t, "check", "data", "--root-directory", t.TempDir(), "--etcd-servers", slow.Start(t, annex.StartEtcd(t).Address()))
	if code != 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "a commit in etcd takes") {
		t.Errorf("exit code %d:\n%s", code, errs)
	}
}
