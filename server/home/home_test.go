package home

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/core/clustername"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// world is a server where members of staff may create home workspaces.
type world struct {
	*clienttest.Fake
	made  []string
	phase corev1alpha1.LogicalClusterPhaseType
	err   error
	clock *testingclock.FakeClock
}

// Make implements Maker.
func (w *world) Make(ctx context.Context, owner *authenticationv1.UserInfo) (*corev1alpha1.LogicalCluster, error) {
	if cluster, ok := logicalcluster.FromContext(ctx); ok {
		return nil, errors.New("made in " + cluster.String())
	}
	if w.err != nil {
		return nil, w.err
	}
	w.made = append(w.made, owner.Username)
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", CreationTimestamp: metav1.Time{Time: w.clock.Now()}}}
	lc.Spec.CreatedBy, lc.Status.Phase = owner, w.phase
	stored, err := w.Create(ctx, logicalClusters, clustername.Home(owner.Username), lc)
	if err != nil {
		return nil, err
	}
	return stored.(*corev1alpha1.LogicalCluster), nil
}

// Authorize implements Authorizer.
func (w *world) Authorize(_ context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	u := policy.Effective(attrs.GetUser(), cluster)
	for _, group := range u.GetGroups() {
		if group == "staff" && cluster == "root" && attrs.GetVerb() == "create" && attrs.GetResource() == "workspaces" && attrs.GetAPIGroup() == "tenancy.kcp.io" && attrs.GetName() == "~" {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func newWorld() (*world, *Homes) {
	w := &world{Fake: clienttest.NewFake(), phase: corev1alpha1.LogicalClusterPhaseReady, clock: testingclock.NewFakeClock(time.Now())}
	return w, New(Config{Cached: w, Live: w, Authorizer: w, Maker: w, External: func() string { return "https://host" }, Clock: w.clock})
}

func asking(t *testing.T, u user.Info) context.Context {
	return genericapirequest.WithUser(logicalcluster.WithCluster(t.Context(), logicalcluster.Root), u)
}

func staff(name string) *user.DefaultInfo {
	return &user.DefaultInfo{Name: name, Groups: []string{"staff", user.AllAuthenticated}}
}

func TestHome_IsOneForEachUser(t *testing.T) {
	w, homes := newWorld()
	for range 2 {
		for name, cluster := range map[string]string{"alice": "v1u4alow0iv9", "bob": "2okdry95y5lkv", "alice:team": clustername.Home("alice:team").String()} {
			ws, err := homes.Home(asking(t, staff(name)))
			if err != nil {
				t.Fatal(err)
			}
			if ws.Name != "cluster" || ws.Spec.Cluster != cluster || ws.Spec.URL != "https://host/clusters/"+cluster || ws.Status.Phase != corev1alpha1.LogicalClusterPhaseReady ||
				ws.Spec.Type.Name != "home" || ws.UID == "" {
				t.Errorf("the home of %s is %+v", name, ws)
			}
		}
	}
	if len(w.made) != 3 {
		t.Errorf("made for %v", w.made)
	}
}

func TestHome_WhoHasNone(t *testing.T) {
	elsewhere := staff("alice")
	elsewhere.Extra = map[string][]string{policy.ScopesKey: {policy.Scope("v1u4alow0iv9")}}
	for name, u := range map[string]user.Info{
		"who may not create one":                &user.DefaultInfo{Name: "alice", Groups: []string{user.AllAuthenticated}},
		"an anonymous user":                     &user.DefaultInfo{Name: user.Anonymous, Groups: []string{"staff"}},
		"a ServiceAccount":                      staff("system:serviceaccount:default:default"),
		"a ServiceAccount of another workspace": staff("system:kcp:serviceaccount:x:default:default"),
		"a ServiceAccount of the host":          staff("host:serviceaccount:default:default"),
		"a user of the system":                  staff("system:apiserver"),
		"a user without a name":                 staff(""),
		"a user of another workspace":           elsewhere,
	} {
		w, homes := newWorld()
		if ws, err := homes.Home(asking(t, u)); !apierrors.IsForbidden(err) || len(w.made) > 0 {
			t.Errorf("%s: %v, %v, made for %v", name, ws, err, w.made)
		}
	}
	w, homes := newWorld()
	if _, err := homes.Home(t.Context()); err == nil || len(w.made) > 0 {
		t.Errorf("without a user: %v, made for %v", err, w.made)
	}
}

// What has the name of a home is shown to its user only.
func TestHome_OfAnother(t *testing.T) {
	for name, change := range map[string]func(*corev1alpha1.LogicalCluster){
		"of another user": func(lc *corev1alpha1.LogicalCluster) { lc.Spec.CreatedBy.Username = "mallory" },
		"of nobody":       func(lc *corev1alpha1.LogicalCluster) { lc.Spec.CreatedBy = nil },
		"of a Workspace":  func(lc *corev1alpha1.LogicalCluster) { lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{Name: "x"} },
	} {
		w, homes := newWorld()
		lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}
		lc.Spec.CreatedBy, lc.Status.Phase = &authenticationv1.UserInfo{Username: "alice"}, corev1alpha1.LogicalClusterPhaseReady
		change(lc)
		if _, err := w.Create(t.Context(), logicalClusters, clustername.Home("alice"), lc); err != nil {
			t.Fatal(err)
		}
		if ws, err := homes.Home(asking(t, staff("alice"))); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, %v", name, ws, err)
		}
	}
}

func TestHome_UntilItIsReady(t *testing.T) {
	w, homes := newWorld()
	w.err = errors.New("etcd at 10.0.0.1 is away")
	_, err := homes.Home(asking(t, staff("alice")))
	if seconds, again := apierrors.SuggestsClientDelay(err); !apierrors.IsServiceUnavailable(err) || !again || seconds != 1 || strings.Contains(err.Error(), "10.0.0.1") {
		t.Errorf("while it cannot be created: %v", err)
	}
	w.err, w.phase = nil, corev1alpha1.LogicalClusterPhaseInitializing
	_, err = homes.Home(asking(t, staff("alice")))
	if seconds, again := apierrors.SuggestsClientDelay(err); !apierrors.IsTooManyRequests(err) || !again || seconds != 1 {
		t.Errorf("while it is created: %v", err)
	}
	w.clock.Step(patience + time.Second)
	if _, err = homes.Home(asking(t, staff("alice"))); !apierrors.IsInternalError(err) {
		t.Errorf("after a minute: %v", err)
	}
}
