package serving

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/secrets"
)

func testNames() []string { return []string{"localhost", "127.0.0.1", "annex.annex-system.svc"} }

func load(t *testing.T, c client.Client, clock *clocktesting.FakeClock) *Own {
	t.Helper()
	own := NewOwn(testNames(), clock)
	if err := own.Load(t.Context(), c, c); err != nil {
		t.Fatal(err)
	}
	return own
}

func TestOwn_ReplicasThatStartAtOnceShareOneCA(t *testing.T) {
	c := clienttest.NewFake()
	// Everybody finds nothing before anybody writes.
	var found sync.WaitGroup
	const replicas = 8
	found.Add(replicas)
	first := map[string]int{}
	var lock sync.Mutex
	c.Intercept(func(verb string, resource schema.GroupResource, _ client.Key) error {
		lock.Lock()
		first[verb+resource.Resource]++
		wait := verb == "get" && first[verb+resource.Resource] <= replicas
		lock.Unlock()
		if wait {
			found.Done()
			found.Wait()
		}
		return nil
	})
	clock := clocktesting.NewFakeClock(time.Now())
	all := make([]*Own, replicas)
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() { all[i] = load(t, c, clock) })
	}
	running.Wait()
	bundle, _ := all[0].Watch()
	for i, own := range all {
		if got, _ := own.Watch(); !bytes.Equal(got, bundle) {
			t.Errorf("replica %d has another bundle", i)
		}
		if _, err := shake(serve(t, own.Certificate()), "annex.annex-system.svc", bundle, clock.Now()); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
	if certificates, err := certutil.ParseCertsPEM(bundle); err != nil || len(certificates) != 1 {
		t.Errorf("the bundle holds %d certificates, %v", len(certificates), err)
	}
	// A replica that comes later, or again.
	if got, _ := load(t, c, clock).Watch(); !bytes.Equal(got, bundle) {
		t.Error("a later replica has another bundle")
	}
}

func TestOwn_Names(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	own := load(t, clienttest.NewFake(), clock)
	bundle, _ := own.Watch()
	address := serve(t, own.Certificate())
	for _, name := range testNames() {
		if _, err := shake(address, name, bundle, clock.Now()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := own.Covers(name); err != nil {
			t.Errorf("Covers(%s) = %v", name, err)
		}
	}
	if _, err := shake(address, "other.annex-system.svc", bundle, clock.Now()); err == nil {
		t.Error("the certificate is good for another name")
	}
	if own.Covers("other.annex-system.svc") == nil {
		t.Error("Covers another name")
	}
}

// The certificate is renewed while the server runs, and clients that know the CA notice nothing.
func TestOwn_Renewal(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	own := load(t, clienttest.NewFake(), clock)
	bundle, outdated := own.Watch()
	address := serve(t, own.Certificate())
	first, err := shake(address, "localhost", bundle, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); own.Run(ctx) }()
	defer func() { cancel(); <-done }()
	eventually(t, func() error {
		if !clock.HasWaiters() {
			return errors.New("nobody waits for the clock")
		}
		return nil
	})

	clock.Step(leafLife / 2)
	if err := own.check(ctx); err != nil {
		t.Fatal(err)
	}
	if shown, err := shake(address, "localhost", bundle, clock.Now()); err != nil || !shown.Equal(first) {
		t.Errorf("after half of its life: renewed, or %v", err)
	}
	clock.Step(leafLife/6 + day)
	eventually(t, func() error {
		shown, err := shake(address, "localhost", bundle, clock.Now())
		if err == nil && shown.Equal(first) {
			err = errors.New("the certificate is still the first one")
		}
		return err
	})
	select {
	case <-outdated:
		t.Error("the bundle changed with the certificate")
	default:
	}
}

// From one CA to the next, a client with any bundle of the last month reaches every replica.
func TestOwn_NextCA(t *testing.T) {
	start := time.Now()
	clock, other := clocktesting.NewFakeClock(start), clocktesting.NewFakeClock(start)
	c := clienttest.NewFake()
	// The other replica looks a day later than the first, each time.
	replicas := []*Own{load(t, c, clock), load(t, c, other)}
	first, outdated := replicas[0].Watch()
	addresses := []string{serve(t, replicas[0].Certificate()), serve(t, replicas[1].Certificate())}
	var bundles [][]byte
	lengths := []int{1}
	for now := start; now.Before(start.Add(authorityLife + 365*day)); now = now.Add(day) {
		clock.SetTime(now)
		other.SetTime(now.Add(-day))
		for _, own := range replicas {
			if err := own.check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		bundle, _ := replicas[0].Watch()
		certificates, err := certutil.ParseCertsPEM(bundle)
		if err != nil {
			t.Fatal(err)
		}
		changed := len(certificates) != lengths[len(lengths)-1]
		if changed {
			lengths = append(lengths, len(certificates))
		}
		bundles = append(bundles, bundle)
		if !changed && len(bundles)%29 != 0 {
			continue
		}
		for i, address := range addresses {
			for _, known := range [][]byte{bundle, bundles[max(0, len(bundles)-29)]} {
				eventually(t, func() error {
					if _, err := shake(address, "localhost", known, now); err != nil {
						return fmt.Errorf("replica %d after %d days: %w", i, len(bundles), err)
					}
					return nil
				})
			}
		}
	}
	if !slices.Equal(lengths, []int{1, 2, 1}) {
		t.Errorf("the bundle held %v certificates", lengths)
	}
	select {
	case <-outdated:
	default:
		t.Error("nobody was told of the new bundle")
	}
	if last, _ := replicas[0].Watch(); bytes.Equal(last, first) {
		t.Error("the CA is the same as eleven years ago")
	}
}

func TestOwn_AfterALongSleep(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	c := clienttest.NewFake()
	load(t, c, clock)
	clock.Step(authorityLife + day)
	own := load(t, c, clock)
	bundle, _ := own.Watch()
	if _, err := shake(serve(t, own.Certificate()), "localhost", bundle, clock.Now()); err != nil {
		t.Error(err)
	}
	if certificates, err := certutil.ParseCertsPEM(bundle); err != nil || len(certificates) != 1 {
		t.Errorf("the bundle holds %d certificates, %v", len(certificates), err)
	}
}

func TestOwn_DeletedSecretMakesANewCA(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	c := clienttest.NewFake()
	own := load(t, c, clock)
	before, outdated := own.Watch()
	if err := c.Delete(t.Context(), secrets.Resource(), secrets.Key(SecretName), nil); err != nil {
		t.Fatal(err)
	}
	if err := own.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-outdated
	after, _ := own.Watch()
	if bytes.Equal(before, after) {
		t.Fatal("the CA is still the old one")
	}
	if _, err := shake(serve(t, own.Certificate()), "localhost", after, clock.Now()); err != nil {
		t.Error(err)
	}
}

// While storage is away, what is shown stays.
func TestOwn_WithoutStorage(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	c := clienttest.NewFake()
	own := load(t, c, clock)
	away := errors.New("etcd is away")
	c.Intercept(func(string, schema.GroupResource, client.Key) error { return away })
	if err := own.check(t.Context()); !errors.Is(err, away) {
		t.Errorf("check() = %v", err)
	}
	bundle, _ := own.Watch()
	if _, err := shake(serve(t, own.Certificate()), "localhost", bundle, clock.Now()); err != nil {
		t.Error(err)
	}
	if err := NewOwn(testNames(), clock).Load(t.Context(), c, c); !errors.Is(err, away) {
		t.Errorf("Load() = %v", err)
	}
}

func TestOwn_BrokenSecret(t *testing.T) {
	now := time.Now()
	one, err := authorities(nil).next(now)
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.next(now.Add(day))
	if err != nil {
		t.Fatal(err)
	}
	certificates, keys, err := two.encode()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := one[0].issue(now, testNames())
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := encodeKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	_, oneKey, err := one.encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string][]byte{
		"empty":                    nil,
		"nonsense":                 {certificatesKey: []byte("x"), keysKey: []byte("y")},
		"a key too few":            {certificatesKey: certificates, keysKey: oneKey},
		"keys in the wrong order":  {certificatesKey: certificates, keysKey: append(slices.Clone(keys[len(oneKey):]), oneKey...)},
		"a certificate of no CA":   {certificatesKey: encodeCertificate(leaf.certificate), keysKey: leafKey},
		"certificates in the keys": {certificatesKey: certificates, keysKey: certificates},
	} {
		t.Run(name, func(t *testing.T) {
			c := clienttest.NewFake(clienttest.In("system:admin", &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: SecretName}, Data: data,
			}))
			err := NewOwn(testNames(), clocktesting.NewFakeClock(now)).Load(t.Context(), c, c)
			if err == nil || !strings.Contains(err.Error(), SecretName) || !strings.Contains(err.Error(), "delete it") {
				t.Errorf("Load() = %v, want an error that says what to do", err)
			}
			if writes := c.Writes(); len(writes) > 0 {
				t.Errorf("it was overwritten: %v", writes)
			}
		})
	}
}

// What is logged, at any verbosity, holds no key; and neither does the bundle.
func TestOwn_NoKeyLeavesIt(t *testing.T) {
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.Verbosity(10), ktesting.BufferLogs(true)))
	clock := clocktesting.NewFakeClock(time.Now())
	c := clienttest.NewFake()
	own := NewOwn(testNames(), clock)
	if err := own.Load(klog.NewContext(t.Context(), logger), c, c); err != nil {
		t.Fatal(err)
	}
	buffer, ok := logger.GetSink().(ktesting.Underlier)
	if !ok {
		t.Fatal("the log cannot be read")
	}
	logged := buffer.GetBuffer().String()
	if !strings.Contains(logged, "Made a serving certificate") {
		t.Fatalf("nothing was logged: %q", logged)
	}
	bundle, _ := own.Watch()
	for name, text := range map[string]string{"log": logged, "bundle": string(bundle), "value": fmt.Sprintf("%+v", own.Certificate().Name())} {
		if strings.Contains(text, "KEY") {
			t.Errorf("the %s holds a key", name)
		}
	}
	var certificate *x509.Certificate
	if certificate, _ = leafOf(own); certificate == nil || certificate.IsCA {
		t.Error("what is shown is no certificate of a server")
	}
}
