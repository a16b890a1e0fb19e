package tokens

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"

	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/server/secrets"
)

func keyIDOf(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// published returns the IDs of the keys that clients see.
func published(t *testing.T, w *world) (ids []string) {
	t.Helper()
	document, contentType, err := w.Published(httptest.NewRequestWithContext(t.Context(), http.MethodGet, KeysPath+"/", nil), "a")
	if err != nil || contentType != "application/jwk-set+json" {
		t.Fatalf("%s, %v", contentType, err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(document, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Use != "sig" || k.Algorithm != "RS256" {
			t.Errorf("published %+v", k)
		}
		ids = append(ids, k.KeyID)
	}
	return ids
}

func TestKeys_Rotation(t *testing.T) {
	w := newWorld(t)
	long := func(c *core.Token) { c.Life = 10 * renewKey }
	first := w.issue(t, long)
	if ids := published(t, w); len(ids) != 1 || ids[0] != keyIDOf(t, first) {
		t.Fatalf("published %v", ids)
	}
	step := func(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }
	step(renewKey - 1)
	if second := w.issue(t, long); keyIDOf(t, second) != keyIDOf(t, first) || len(published(t, w)) != 1 {
		t.Error("renewed too early")
	}
	step(time.Second)
	if second := w.issue(t, long); keyIDOf(t, second) != keyIDOf(t, first) || len(published(t, w)) != 2 {
		t.Error("the new key signs before it has been published for a day, or is not published")
	}
	step(publishKey)
	second := w.issue(t, long)
	if keyIDOf(t, second) == keyIDOf(t, first) || len(published(t, w)) != 2 {
		t.Error("the new key does not sign")
	}
	for _, token := range []string{first, second} {
		if _, ok, err := w.AuthenticateToken(inCluster(t, "a"), token); err != nil || !ok {
			t.Errorf("a token of one of the keys is refused: %v", err)
		}
	}
	// An operator removes the old key.
	obj, err := w.objects.Get(t.Context(), corev1.Resource("secrets"), secrets.Key(SecretName))
	if err != nil {
		t.Fatal(err)
	}
	changed := obj.DeepCopyObject().(*corev1.Secret)
	known, err := parseKeys(changed.Data)
	if err != nil {
		t.Fatal(err)
	}
	delete(changed.Data, known[0].made.Format(keyPattern)+keySuffix)
	if _, err := w.objects.Update(t.Context(), corev1.Resource("secrets"), secrets.Key(SecretName).Cluster, changed); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := w.AuthenticateToken(inCluster(t, "a"), first); ok {
		t.Error("a token of a removed key is accepted")
	}
	if _, ok, err := w.AuthenticateToken(inCluster(t, "a"), second); err != nil || !ok {
		t.Errorf("a token of a key that was kept is refused: %v", err)
	}
}

// Two replicas that sign their first token at the same time use one key.
func TestKeys_AreShared(t *testing.T) {
	w := newWorld(t)
	others := New(Config{Cached: w.objects, Fresh: []Fresh{w}, External: w.External, Clock: w.clock})
	others.Share(w.objects, w.objects)
	token, _, err := others.Issue(t.Context(), core.Token{Cluster: "a", Account: account("a", "uid-of-robot-in-a"), Audiences: []string{w.Audience("a")}, Issued: w.clock.Now(), Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.AuthenticateToken(inCluster(t, "a"), token); err != nil || !ok {
		t.Errorf("a token of another replica is refused: %v", err)
	}
	if ids := published(t, w); len(ids) != 1 || ids[0] != keyIDOf(t, token) {
		t.Errorf("published %v", ids)
	}
}

func TestKeys_ThatCannotBeUsed(t *testing.T) {
	good, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string][]byte{
		"a name that is no time": {"new.key": good},
		"no suffix":              {"20260101T000000Z": good},
		"no key":                 {"20260101T000000Z.key": []byte("nonsense")},
		"another kind of key": {"20260101T000000Z.key": []byte("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49\n" +
			"AwEHoUQDQgAEPR3tU2Fta9ktY+6P9G0cWO+0kETA6SFs38GecTyudlHz6xvCdz8q\nEKTcWGekdmdDPsHloRNtsiCa697B2O9IFA==\n-----END EC PRIVATE KEY-----\n")},
	} {
		if _, err := parseKeys(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if ks, err := parseKeys(map[string][]byte{"20260101T000000Z.key": good}); err != nil || len(ks) != 1 {
		t.Errorf("%v, %v", ks, err)
	}
}

func TestPublished_Configuration(t *testing.T) {
	w := newWorld(t)
	document, contentType, err := w.Published(httptest.NewRequestWithContext(t.Context(), http.MethodGet, ConfigurationPath, nil), "a")
	const want = `{"issuer":"https://annex.example.com/clusters/a","jwks_uri":"https://annex.example.com/clusters/a/openid/v1/jwks",` +
		`"response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}`
	if err != nil || contentType != "application/json" || string(document) != want {
		t.Errorf("%s: %s, %v", contentType, document, err)
	}
}
