package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/stories"
)

const (
	replicas = 3
	// lonely is the replica that knows one member of etcd only: the one of its number.
	lonely = 2
	// patience ends a wait for what never comes.
	patience = 2 * time.Minute
	// requestTimeout bounds a single request of a test.
	requestTimeout = 15 * time.Second
)

// userList returns users whose tokens are their names.
func userList() string {
	var list strings.Builder
	for _, user := range stories.Users {
		list.WriteString(strings.Join([]string{user, user, user}, ",") + "\n")
	}
	return list.String()
}

// world is what runs; tests leave it whole.
type world struct {
	etcd     *etcdCluster
	replicas [replicas]*annex.Server
	// auditLogs are the files to which they write what they did.
	auditLogs [replicas]string
}

var theWorld *world

var program = flag.String("program", "annex-race", "what runs, of bin/; annex is faster, and finds no data race")

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == memberCommand {
		var one member
		err := json.Unmarshal([]byte(os.Args[2]), &one)
		if err == nil {
			err = one.serve()
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "annex-replicas")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		theWorld, err = build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting three servers on three members of etcd:", err)
		return 1
	}
	code := m.Run()
	if !theWorld.end() {
		code = 1
	}
	return code
}

func build(ctx context.Context, dir string) (*world, error) {
	w := &world{}
	var err error
	if w.etcd, err = startEtcd(ctx, dir); err != nil {
		return nil, err
	}
	tokens, policy := filepath.Join(dir, "users.csv"), filepath.Join(dir, "policy.yaml")
	for file, content := range map[string]string{tokens: userList(), policy: stories.AuditPolicy} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	var addresses [replicas]string
	for i := range addresses {
		if addresses[i], err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	errs := make([]error, replicas)
	var all sync.WaitGroup
	for i := range replicas {
		servers := w.etcd.urls()
		if i == lonely {
			servers = servers[i : i+1]
		}
		w.auditLogs[i] = filepath.Join(dir, fmt.Sprintf("audit-%d.log", i))
		all.Go(func() {
			w.replicas[i], errs[i] = annex.LaunchReplica(ctx, *program, addresses[i], filepath.Join(dir, fmt.Sprintf("annex-%d", i)),
				"--etcd-servers", strings.Join(servers, ","), "--shard-external-url", "https://"+addresses[0],
				"--token-auth-file", tokens, "--webhook-allow-cidr", "127.0.0.0/8",
				"--audit-policy-file", policy, "--audit-log-path", w.auditLogs[i], "--v", "1", "--shutdown-delay-duration", shutdownDelay.String())
		})
	}
	all.Wait()
	return w, errors.Join(errs...)
}

// end stops everything; false when a server has seen a race or does not end.
func (w *world) end() bool {
	fine := true
	for i, replica := range w.replicas {
		replica.Terminate()
		select {
		case <-replica.Done():
		case <-time.After(patience):
			fmt.Fprintf(os.Stderr, "server %d does not end:\n%s\n", i, replica.Log())
			replica.Kill()
			fine = false
		}
		if replica.Printed("DATA RACE") {
			fmt.Fprintf(os.Stderr, "server %d has a data race:\n%s\n", i, replica.Log())
			fine = false
		}
	}
	for i := range members {
		w.etcd.kill(i)
	}
	return fine
}

// restart runs a replica again that was killed or asked to end.
func (w *world) restart(t *testing.T, i int) {
	t.Helper()
	w.checkRaces(t, i)
	again := w.replicas[i].For(t)
	again.Start()
	w.replicas[i] = again
}

// checkRaces fails the test when replica i has seen a data race since its start.
func (w *world) checkRaces(t *testing.T, i int) {
	t.Helper()
	if w.replicas[i].Printed("DATA RACE") {
		t.Errorf("server %d has a data race; its log ends with:\n%s", i, w.replicas[i].Log())
	}
}

// clients are an administrator's in one workspace, at each replica.
type clients struct {
	typed   [replicas]kubernetes.Interface
	untyped [replicas]dynamic.Interface
}

// in returns the clients of a workspace. They tell of every answer, where client-go would try again by itself.
func (w *world) in(t *testing.T, path string) *clients {
	t.Helper()
	c := &clients{}
	for i, replica := range w.replicas {
		c.typed[i], c.untyped[i] = annex.Clients(t, impatient(replica.For(t).Workspace(path)))
	}
	return c
}

// as returns the client of a user in a workspace at replica i.
func (w *world) as(t *testing.T, i int, user, path string) kubernetes.Interface {
	t.Helper()
	typed, _ := annex.Clients(t, impatient(w.replicas[i].For(t).As(user, path)))
	return typed
}

// leaseName is the name of the lease of the controllers.
const leaseName = "annex-controllers"

// leases returns the leases of the servers, as replica at knows them.
func (w *world) leases(t *testing.T, at int) coordinationclient.LeaseInterface {
	t.Helper()
	config := w.replicas[at].For(t).Config(annex.ContextShardBase)
	config.Host += "/clusters/system:admin"
	typed, _ := annex.Clients(t, config)
	return typed.CoordinationV1().Leases(metav1.NamespaceSystem)
}

// leader returns the number of the replica that runs the controllers, according to the lease as replica at knows it.
func (w *world) leader(t *testing.T, at int) int {
	t.Helper()
	leases, leader := w.leases(t, at), -1
	annex.Eventually(t, func(ctx context.Context) error {
		lease, err := leases.Get(ctx, leaseName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		leader = w.holder(lease)
		if leader < 0 {
			return fmt.Errorf("%q holds the lease", ptr.Deref(lease.Spec.HolderIdentity, ""))
		}
		return nil
	})
	return leader
}

// holder returns the replica that holds the lease; -1 for none.
func (w *world) holder(lease *coordinationv1.Lease) int {
	for i, replica := range w.replicas {
		if identity := ptr.Deref(lease.Spec.HolderIdentity, ""); identity != "" && replica.Printed(`runs the controllers now" identity="`+identity+`"`) {
			return i
		}
	}
	return -1
}

// impatient returns credentials whose client tells of every answer, where client-go tries again up to ten times.
func impatient(config *rest.Config) *rest.Config {
	config.Timeout = requestTimeout
	config.WrapTransport = withoutRetryAfter
	return config
}
