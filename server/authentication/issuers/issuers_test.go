package issuers

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/outbound"
	testissuer "github.com/annex-dev/annex/test/framework/issuer"
)

// paths resolves what the tests use.
type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, found := p[path]
	return name, found, nil
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// world is a workspace "here" of a type in the workspace root:team, which names an issuer; and "there" of another type.
type world struct {
	*clienttest.Fake
	paths   paths
	issuers *Issuers
	clock   *clocktesting.FakeClock
}

func newWorld(t *testing.T, allow []netip.Prefix, trusted ...*testissuer.Issuer) *world {
	t.Helper()
	newType := func(in logicalcluster.Name, path, name string) *tenancyv1alpha1.WorkspaceType {
		return clienttest.In(in, &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{logicalcluster.PathAnnotationKey: path}}})
	}
	cluster := func(in logicalcluster.Name, typ string) *corev1alpha1.LogicalCluster {
		return clienttest.In(in, &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", Annotations: map[string]string{
			corev1alpha1.LogicalClusterTypeAnnotationKey: typ, corev1alpha1.TypeClustersAnnotationKey: "teamid",
		}}})
	}
	base, sso := newType("teamid", "root:team", "base"), newType("teamid", "root:team", "sso")
	base.Spec.AuthenticationConfigurations = []tenancyv1alpha1.AuthenticationConfigurationReference{{Name: "missing"}, {Name: "issuers"}}
	sso.Spec.Extend.With = []tenancyv1alpha1.WorkspaceTypeReference{{Name: "base", Path: "root:team"}}
	configuration := &tenancyv1alpha1.WorkspaceAuthenticationConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "issuers"}}
	for _, one := range trusted {
		jwt := tenancyv1alpha1.JWTAuthenticator{Issuer: tenancyv1alpha1.Issuer{URL: one.URL(), CertificateAuthority: one.CA(), Audiences: []string{testissuer.Audience}}}
		jwt.ClaimMappings.Username.Claim, jwt.ClaimMappings.Groups.Claim = "sub", "groups"
		configuration.Spec.JWT = append(configuration.Spec.JWT, jwt)
	}
	w := &world{
		Fake: clienttest.NewFake(base, sso, newType("teamid", "root:team", "plain"), clienttest.In("teamid", configuration),
			cluster("here", "root:team:sso"), cluster("there", "root:team:plain")),
		paths: paths{"root:team": "teamid"},
		clock: clocktesting.NewFakeClock(time.Now()),
	}
	w.issuers = New(Config{Cached: w, Resolver: w.paths, Guard: outbound.New(outbound.Config{Allow: allow}), Clock: w.clock})
	return w
}

// who returns the user of a token in a cluster, or why it is refused; both empty if nobody knows it.
func (w *world) who(t *testing.T, cluster logicalcluster.Name, token string) (name, refused string) {
	t.Helper()
	response, ok, err := w.issuers.AuthenticateToken(logicalcluster.WithCluster(t.Context(), cluster), token)
	switch {
	case err != nil:
		return "", err.Error()
	case ok:
		return response.User.GetName(), ""
	}
	return "", ""
}

func TestIssuers_WhereTokensAreAccepted(t *testing.T) {
	mine, other := testissuer.Start(t), testissuer.Start(t)
	w := newWorld(t, loopback, mine)
	token := mine.Token(map[string]any{"sub": "carol"})
	if name, refused := w.who(t, "here", token); name != "carol" {
		t.Errorf("in its workspace: %q, %s", name, refused)
	}
	for _, cluster := range []logicalcluster.Name{"there", "teamid", "root", "nowhere", "system:admin"} {
		if name, refused := w.who(t, cluster, token); name != "" || refused != "" {
			t.Errorf("in %s: %q, %s", cluster, name, refused)
		}
	}
	for what, ctx := range map[string]context.Context{"all": logicalcluster.WithWildcard(t.Context()), "none": t.Context(), "unknown": logicalcluster.WithUnknown(t.Context())} {
		if response, ok, err := w.issuers.AuthenticateToken(ctx, token); ok || err != nil {
			t.Errorf("in %s: %v, %v", what, response, err)
		}
	}
	for what, token := range map[string]string{
		"of another issuer": other.Token(map[string]any{"sub": "carol"}), "no token": "x", "three parts": "a.b.c", "empty": "",
	} {
		if name, refused := w.who(t, "here", token); name != "" || refused != "" {
			t.Errorf("%s: %q, %s", what, name, refused)
		}
	}
	if other.Asked() > 0 {
		t.Error("an issuer is asked that nobody named")
	}
	for what, token := range map[string]string{
		"signed by another issuer": other.Token(map[string]any{"sub": "carol", "iss": mine.URL()}),
		"for another audience":     mine.Token(map[string]any{"sub": "carol", "aud": "other"}),
		"expired":                  mine.Token(map[string]any{"sub": "carol", "exp": time.Now().Add(-time.Hour).Unix()}),
		"without a name":           mine.Token(nil),
		"with groups elsewhere":    mine.Token(map[string]any{"sub": "carol", "_claim_names": map[string]any{"groups": "src"}, "_claim_sources": map[string]any{"src": map[string]any{"endpoint": other.URL()}}}),
		"changed":                  strings.Replace(token, ".", ".e30", 1),
	} {
		if name, _ := w.who(t, "here", token); name != "" {
			t.Errorf("%s: is %q", what, name)
		}
	}
	if other.Asked() > 0 {
		t.Error("an issuer is asked that a token names")
	}
}

// What the type names now is what counts, and only while the type is where it was.
func TestIssuers_FollowTheType(t *testing.T) {
	mine := testissuer.Start(t)
	w := newWorld(t, loopback, mine)
	token := mine.Token(map[string]any{"sub": "carol"})
	if name, refused := w.who(t, "here", token); name != "carol" {
		t.Fatalf("at first: %q, %s", name, refused)
	}
	w.paths["root:team"] = "squatter"
	for _, obj := range []client.Object{
		clienttest.In("squatter", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "sso", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root:team"}},
			Spec: tenancyv1alpha1.WorkspaceTypeSpec{AuthenticationConfigurations: []tenancyv1alpha1.AuthenticationConfigurationReference{{Name: "issuers"}}}}),
	} {
		if _, err := w.Create(t.Context(), workspaceTypes, "squatter", obj); err != nil {
			t.Fatal(err)
		}
	}
	found, err := w.Get(t.Context(), configurations, client.Key{Cluster: "teamid", Name: "issuers"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := found.DeepCopyObject().(*tenancyv1alpha1.WorkspaceAuthenticationConfiguration)
	theirs.ResourceVersion, theirs.UID = "", ""
	if _, err := w.Create(t.Context(), configurations, "squatter", theirs); err != nil {
		t.Fatal(err)
	}
	if name, refused := w.who(t, "here", token); name != "" || refused != "" {
		t.Errorf("by a type that has come since: %q, %s", name, refused)
	}
	w.paths["root:team"] = "teamid"
	changed := found.DeepCopyObject().(*tenancyv1alpha1.WorkspaceAuthenticationConfiguration)
	changed.Spec.JWT[0].Issuer.Audiences = []string{"other"}
	if _, err := w.Update(t.Context(), configurations, "teamid", changed); err != nil {
		t.Fatal(err)
	}
	if name, refused := w.who(t, "here", token); name != "" || refused == "" {
		t.Errorf("for another audience: %q, %s", name, refused)
	}
	if err := w.Delete(t.Context(), configurations, client.Key{Cluster: "teamid", Name: "issuers"}, nil); err != nil {
		t.Fatal(err)
	}
	if name, refused := w.who(t, "here", token); name != "" || refused != "" {
		t.Errorf("after the configuration was deleted: %q, %s", name, refused)
	}
}

func TestIssuers_AreGuarded(t *testing.T) {
	mine := testissuer.Start(t)
	w := newWorld(t, nil, mine)
	name, refused := w.who(t, "here", mine.Token(map[string]any{"sub": "carol"}))
	if name != "" || !strings.Contains(refused, errFetch.Error()) || strings.Contains(refused, "127.0.0.1") {
		t.Errorf("an issuer on this machine: %q, %s", name, refused)
	}
	if mine.Asked() > 0 {
		t.Error("it was asked")
	}
}

// Keys are found when an issuer changes them, and an issuer that does not answer is asked now and then.
func TestIssuers_Rotation(t *testing.T) {
	mine := testissuer.Start(t)
	w := newWorld(t, loopback, mine)
	accepted := func() bool {
		name, _ := w.who(t, "here", mine.Token(map[string]any{"sub": "carol"}))
		return name == "carol"
	}
	mine.SetAway(true)
	if accepted() {
		t.Error("a token is accepted that nobody could check")
	}
	mine.SetAway(false)
	if asked := mine.Asked(); accepted() || mine.Asked() != asked {
		t.Error("the issuer is asked again at once")
	}
	w.clock.Step(again)
	if !accepted() {
		t.Error("the issuer is not asked again")
	}
	mine.Rotate()
	if accepted() {
		t.Error("the issuer is asked again at once")
	}
	w.clock.Step(again)
	if !accepted() {
		t.Error("a new key is not found")
	}
	mine.SetAway(true)
	w.clock.Step(freshFor)
	if !accepted() {
		t.Error("known keys are forgotten while the issuer is away")
	}
}

func TestKeys_OneFetchForAllWhoWait(t *testing.T) {
	const more = 8
	hang := make(chan struct{})
	var fetches, busy atomic.Int64
	k := &keys{clock: clocktesting.NewFakeClock(time.Now()), fetch: func(context.Context) ([]jose.JSONWebKey, error) {
		fetches.Add(1)
		<-hang
		return nil, errors.New("away")
	}}
	var all sync.WaitGroup
	for range maxWaiting + more {
		all.Go(func() {
			if _, err := k.get(t.Context(), freshFor); errors.Is(err, errBusy) {
				if busy.Add(1) == more {
					close(hang)
				}
			}
		})
	}
	all.Wait()
	if fetches.Load() != 1 || busy.Load() != more {
		t.Errorf("%d fetches, %d were sent away", fetches.Load(), busy.Load())
	}
}

// A secret key would let everybody sign who knows how to verify.
func TestKeys_ArePublic(t *testing.T) {
	secret := jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "a"}
	k := &keys{clock: clocktesting.NewFakeClock(time.Now()), fetch: func(context.Context) ([]jose.JSONWebKey, error) { return []jose.JSONWebKey{secret}, nil }}
	if found, err := k.get(t.Context(), freshFor); err == nil {
		t.Errorf("keys: %v", found)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.VerifySignature(t.Context(), token); !errors.Is(err, errSignature) {
		t.Errorf("a token with a secret key: %v", err)
	}
}
