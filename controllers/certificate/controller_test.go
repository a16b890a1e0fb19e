package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func condition(t certificatesv1.RequestConditionType, age time.Duration) certificatesv1.CertificateSigningRequestCondition {
	return certificatesv1.CertificateSigningRequestCondition{Type: t, Status: "True", LastUpdateTime: ago(age)}
}

// chain returns a certificate that is valid until then.
func chain(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestDue(t *testing.T) {
	t.Parallel()
	valid, expired := chain(t, now.Add(time.Hour)), chain(t, now.Add(-time.Minute))
	const less, more = time.Hour - time.Minute, time.Hour + time.Minute
	const dayLess, dayMore = 24*time.Hour - time.Minute, 24*time.Hour + time.Minute
	type conditions = []certificatesv1.CertificateSigningRequestCondition
	for name, tt := range map[string]struct {
		age         time.Duration
		conditions  conditions
		certificate []byte
		want        bool
	}{
		"pending":                    {age: dayLess},
		"pending for long":           {age: dayMore, want: true},
		"denied":                     {age: dayMore, conditions: conditions{condition("Denied", less)}},
		"denied long ago":            {conditions: conditions{condition("Denied", more)}, want: true},
		"failed":                     {conditions: conditions{condition("Approved", less), condition("Failed", less)}},
		"failed long ago":            {conditions: conditions{condition("Approved", less), condition("Failed", more)}, want: true},
		"approved":                   {conditions: conditions{condition("Approved", dayLess)}},
		"approved long ago":          {conditions: conditions{condition("Approved", dayMore)}, want: true},
		"issued":                     {conditions: conditions{condition("Approved", less)}, certificate: valid},
		"issued long ago":            {conditions: conditions{condition("Approved", more)}, certificate: valid, want: true},
		"expired":                    {conditions: conditions{condition("Approved", less)}, certificate: expired, want: true},
		"expired without approval":   {conditions: conditions{condition("Own", less)}, certificate: expired},
		"unreadable certificate":     {conditions: conditions{condition("Approved", less)}, certificate: []byte("x")},
		"condition without a time":   {conditions: conditions{{Type: "Denied", Status: "True"}}},
		"own condition of long ago":  {age: dayMore, conditions: conditions{condition("Own", dayMore)}},
		"created at an unknown time": {age: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			csr := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(tt.age)}}
			if tt.age < 0 {
				csr.CreationTimestamp = metav1.Time{}
			}
			csr.Status.Conditions, csr.Status.Certificate = tt.conditions, tt.certificate
			if got := due(csr, now); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func pending(cluster logicalcluster.Name, name string, age time.Duration) *certificatesv1.CertificateSigningRequest {
	return clienttest.In(cluster, &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: ago(age)}})
}

// TestController looks at all clusters once, and again an hour later.
func TestController(t *testing.T) {
	t.Parallel()
	finalized := pending("b", "held", 48*time.Hour)
	finalized.Finalizers = []string{"example.com/hold"}
	fake := clienttest.NewFake(pending("a", "old", 48*time.Hour), pending("a", "new", time.Minute), pending("b", "old", 25*time.Hour), finalized)
	content := clienttest.NewContent(fake)
	clock := clocktesting.NewFakeClock(now)
	r := &reconciler{Config: multicluster.Config{Client: fake, Live: fake, Content: content}, clock: clock}

	ctx, stop := context.WithCancel(t.Context())
	queued := make(chan client.Key, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.sweep(ctx, func(key client.Key, _ time.Duration) { queued <- key })
	}()
	next := func(want logicalcluster.Name) {
		t.Helper()
		if key := <-queued; key != (client.Key{Cluster: want}) {
			t.Fatalf("queued %v, want %s", key, want)
		}
		if _, err := r.reconcile(ctx, client.Key{Cluster: want}); err != nil {
			t.Fatal(err)
		}
	}
	next("a")
	next("b")
	// What a finalizer holds begins to be deleted, which is an update.
	if want := []string{"delete certificatesigningrequests.certificates.k8s.io a|old", "update certificatesigningrequests.certificates.k8s.io b|held", "delete certificatesigningrequests.certificates.k8s.io b|old"}; !slices.Equal(fake.Writes(), want) {
		t.Errorf("got %q, want %q", fake.Writes(), want)
	}
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clock.Step(interval)
	next("a") // what is held is left alone: its deletion has begun
	next("b")
	if n := len(fake.Writes()); n != 3 {
		t.Errorf("%d writes: %q", n, fake.Writes())
	}

	// What cannot be listed is tried again after a minute.
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	content.Fail(errors.New("unreadable"))
	clock.Step(interval)
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	content.Fail(nil)
	clock.Step(retry)
	next("a")
	stop()
	<-ended
}
