package examples

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
)

// crashes kills each of the three processes, one at a time, whenever progress has come a step further, and starts it again.
type crashes struct {
	t        *testing.T
	operator *operator
	progress func() int
}

// during kills the operator, PostgreSQL and the server when progress reaches each of the three points.
func (c *crashes) during(points [3]int) {
	c.t.Helper()
	for i, point := range points {
		eventually(c.t, func(context.Context) error {
			if n := c.progress(); n < point {
				return fmt.Errorf("only %d of %d steps are done\n%s", n, point, c.operator.Tail())
			}
			return nil
		})
		switch i {
		case 0:
			c.operator.Kill()
			c.operator.start()
		case 1:
			world.postgres.Kill()
			world.postgres.Restart(c.t)
		case 2:
			server := world.server.For(c.t)
			server.Kill()
			server.Start()
			world.server = server
		}
	}
}

// Whatever is killed in the middle, in the end there is exactly what the Databases say.
func TestDatabase_SurvivesCrashes(t *testing.T) {
	const workspaces, each = 3, 8
	postgres := needsPostgres(t)
	crash := &crashes{t: t, operator: operateDatabases(t, "--grace-period=1s")}
	consumers := make([]*consumer, workspaces)
	for i := range consumers {
		consumers[i] = newConsumer(t, fmt.Sprintf("crash-%d", i))
		consumers[i].bind("databases", "Accepted", ownSecrets, eventsClaim)
	}
	count := func(sql string) func() int {
		return func() (n int) {
			_, _ = fmt.Sscan(postgres.Ask(t, sql)[0], &n)
			return n
		}
	}
	// What other tests have left is not counted.
	before := named(t, "db_")

	crash.progress = count("SELECT count(*) FROM pg_database WHERE starts_with(datname, 'db_crash_')")
	for n := range each {
		for _, c := range consumers {
			c.create(databases, database(fmt.Sprintf("crash-%d", n), ""))
		}
	}
	crash.during([3]int{3, 9, 15})
	logins := map[*consumer][each]login{}
	for _, c := range consumers {
		var own [each]login
		for n := range each {
			own[n] = c.works(fmt.Sprintf("crash-%d", n), "")
			own[n].sql(t, fmt.Sprintf("CREATE TABLE kept (id text); INSERT INTO kept VALUES ('%s/%d')", c.cluster, n))
		}
		logins[c] = own
	}

	// All get a new password.
	crash.progress = count("SELECT count(*) FROM pg_roles WHERE starts_with(rolname, 'db_crash_') AND rolcanlogin AND right(rolname, 1) = 'b'")
	started := crash.progress()
	for _, c := range consumers {
		for n := range each {
			annex.Eventually(t, func(ctx context.Context) error {
				_, err := c.Resource(databases).Namespace("default").Patch(ctx, fmt.Sprintf("crash-%d", n), types.MergePatchType,
					[]byte(`{"metadata":{"annotations":{"postgresql.example.com/rotate":"1"}}}`), metav1.PatchOptions{})
				return err
			})
		}
	}
	crash.during([3]int{started + 2, started + 6, started + 10})
	for _, c := range consumers {
		own := logins[c]
		for n := range each {
			previous := own[n]
			own[n] = c.works(fmt.Sprintf("crash-%d", n), previous.username)
			if got := own[n].sql(t, "SELECT id FROM kept"); got != fmt.Sprintf("%s/%d", c.cluster, n) {
				t.Errorf("crash-%d of %s has the data of %q", n, c.path, got)
			}
			closed(t, previous)
		}
		logins[c] = own
	}

	// Half of them are deleted.
	crash.progress = func() int {
		return workspaces*each - count("SELECT count(*) FROM pg_database WHERE starts_with(datname, 'db_crash_')")()
	}
	for n := range each / 2 {
		for _, c := range consumers {
			annex.Eventually(t, func(ctx context.Context) error {
				err := c.Resource(databases).Namespace("default").Delete(ctx, fmt.Sprintf("crash-%d", n), metav1.DeleteOptions{})
				if apierrors.IsNotFound(err) {
					return nil
				}
				return err
			})
		}
	}
	crash.during([3]int{2, 5, 8})
	want := slices.Clone(before)
	for _, c := range consumers {
		for n := range each {
			name, l := fmt.Sprintf("crash-%d", n), logins[c][n]
			if n < each/2 {
				c.gone(databases, name)
				if _, err := c.typed.CoreV1().Secrets("default").Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("the Secret of what was deleted: %v", err)
				}
				continue
			}
			c.says(databases, name, "Ready", "True", "Available")
			if now := loginOf(c.secret(name)); now != l || l.check() != nil {
				t.Errorf("%s of %s has lost its login", name, c.path)
			}
			want = append(want, l.database, l.database, l.database+"_a", l.database+"_b")
		}
	}
	slices.Sort(want)
	got := named(t, "db_")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("databases and roles in PostgreSQL: -want +got\n%s", diff)
	}
	leave(t, consumers...)
	if left := named(t, "db_crash_"); len(left) > 0 {
		t.Errorf("after all workspaces were deleted, there are %v", left)
	}
}
