package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newRequest returns a request that is signed, and valid on its own.
func newRequest(t *testing.T) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "alice"}}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: "example.com/a",
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}
}

func newCertificate(t *testing.T) []byte {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func at(errs field.ErrorList) []string {
	var found []string
	for _, err := range errs {
		found = append(found, err.Field+" "+string(err.Type))
	}
	return found
}

func TestValidateCreate(t *testing.T) {
	t.Parallel()
	seconds := int32(599)
	for name, tt := range map[string]struct {
		change func(*certificatesv1.CertificateSigningRequest)
		want   []string
	}{
		"good":          {func(*certificatesv1.CertificateSigningRequest) {}, nil},
		"no request":    {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Request = nil }, []string{"spec.request FieldValueInvalid"}},
		"too large":     {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Request = make([]byte, maxRequestBytes+1) }, []string{"spec.request FieldValueTooLong"}},
		"no usages":     {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Usages = nil }, []string{"spec.usages FieldValueRequired"}},
		"unknown usage": {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Usages[0] = "odd" }, []string{"spec.usages[0] FieldValueNotSupported"}},
		"usage twice": {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Usages = slices.Repeat(c.Spec.Usages, 2) }, []string{
			"spec.usages[1] FieldValueDuplicate",
		}},
		"too many usages": {func(c *certificatesv1.CertificateSigningRequest) {
			c.Spec.Usages = slices.Repeat(c.Spec.Usages, maxUsages+1)
		}, []string{
			"spec.usages FieldValueTooMany",
		}},
		"no signer":     {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.SignerName = "" }, []string{"spec.signerName FieldValueRequired"}},
		"legacy signer": {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.SignerName = unknownSigner }, []string{"spec.signerName FieldValueInvalid"}},
		"no path":       {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.SignerName = "example.com" }, []string{"spec.signerName FieldValueInvalid"}},
		"short":         {func(c *certificatesv1.CertificateSigningRequest) { c.Spec.ExpirationSeconds = &seconds }, []string{"spec.expirationSeconds FieldValueInvalid"}},
		"finalizer":     {func(c *certificatesv1.CertificateSigningRequest) { c.Finalizers = []string{"odd"} }, []string{"metadata.finalizers[0] FieldValueInvalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			csr := newRequest(t)
			tt.change(csr)
			if got := at(validateCreate(csr)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A key of megabytes must not be worked with: one signature would take minutes.
func TestParse_RefusesLargeKeys(t *testing.T) {
	t.Parallel()
	modulus := new(big.Int).Lsh(big.NewInt(1), maxRSABits)
	modulus.Add(modulus, big.NewInt(1))
	spki, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	name, err := asn1.Marshal(pkix.Name{CommonName: "a"}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	info, err := asn1.Marshal(struct {
		Version    int
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Attributes []asn1.RawValue `asn1:"tag:0,set"`
	}{Subject: asn1.RawValue{FullBytes: name}, Key: asn1.RawValue{FullBytes: spki}})
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: info}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}, asn1.BitString{Bytes: make([]byte, 8), BitLength: 64}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	if err == nil || !strings.Contains(err.Error(), "at most 16384 bits") {
		t.Errorf("got %v", err)
	}
}

func TestValidateUpdate(t *testing.T) {
	t.Parallel()
	condition := func(t certificatesv1.RequestConditionType, status corev1.ConditionStatus) certificatesv1.CertificateSigningRequestCondition {
		return certificatesv1.CertificateSigningRequestCondition{Type: t, Status: status}
	}
	certificate := newCertificate(t)
	approved := []certificatesv1.CertificateSigningRequestCondition{condition("Approved", "True")}
	for name, tt := range map[string]struct {
		may         rights
		before, now certificatesv1.CertificateSigningRequestStatus
		want        []string
	}{
		"nothing":               {},
		"approval":              {may: rights{approve: true}, now: certificatesv1.CertificateSigningRequestStatus{Conditions: approved}},
		"approval elsewhere":    {may: rights{sign: true}, now: certificatesv1.CertificateSigningRequestStatus{Conditions: approved}, want: []string{"status.conditions FieldValueForbidden"}},
		"certificate":           {may: rights{sign: true}, now: certificatesv1.CertificateSigningRequestStatus{Certificate: certificate}},
		"certificate elsewhere": {may: rights{approve: true}, now: certificatesv1.CertificateSigningRequestStatus{Certificate: certificate}, want: []string{"status.certificate FieldValueForbidden"}},
		"other certificate": {
			may: rights{sign: true}, before: certificatesv1.CertificateSigningRequestStatus{Certificate: newCertificate(t)},
			now: certificatesv1.CertificateSigningRequestStatus{Certificate: certificate}, want: []string{"status.certificate FieldValueForbidden"},
		},
		"no certificate": {may: rights{sign: true}, now: certificatesv1.CertificateSigningRequestStatus{Certificate: []byte("x")}, want: []string{"status.certificate FieldValueInvalid"}},
		"removed":        {may: rights{approve: true}, before: certificatesv1.CertificateSigningRequestStatus{Conditions: approved}, want: []string{"status.conditions FieldValueForbidden"}},
		"denied too": {
			may: rights{approve: true}, before: certificatesv1.CertificateSigningRequestStatus{Conditions: approved},
			now: certificatesv1.CertificateSigningRequestStatus{Conditions: append(slices.Clone(approved), condition("Denied", "True"))}, want: []string{"status.conditions FieldValueInvalid"},
		},
		"false approval": {
			may: rights{approve: true}, now: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{condition("Approved", "False")}},
			want: []string{"status.conditions[0].status FieldValueNotSupported"},
		},
		"twice": {
			may:  rights{sign: true},
			now:  certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{condition("A", "True"), condition("A", "True"), condition("", "")}},
			want: []string{"status.conditions[1].type FieldValueDuplicate", "status.conditions[2].type FieldValueRequired", "status.conditions[2].status FieldValueRequired"},
		},
		"too many": {
			may:  rights{sign: true},
			now:  certificatesv1.CertificateSigningRequestStatus{Conditions: make([]certificatesv1.CertificateSigningRequestCondition, maxConditions+1)},
			want: []string{"status.conditions FieldValueTooMany"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := newRequest(t)
			old.ResourceVersion = "1"
			csr := old.DeepCopy()
			old.Status, csr.Status = tt.before, tt.now
			if got := at(validateUpdate(csr, old, tt.may)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The user of a request is who sends it, and not who it says.
func TestSetUser(t *testing.T) {
	t.Parallel()
	spec := certificatesv1.CertificateSigningRequestSpec{Username: "root", UID: "0", Groups: []string{"system:masters"}, Extra: map[string]certificatesv1.ExtraValue{"x": {"y"}}}
	setUser(genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "alice", Groups: []string{"g"}, Extra: map[string][]string{"a": {"b"}}}), &spec)
	if spec.Username != "alice" || spec.UID != "" || !slices.Equal(spec.Groups, []string{"g"}) || len(spec.Extra) != 1 || !slices.Equal(spec.Extra["a"], []string{"b"}) {
		t.Errorf("got %v", spec)
	}
	setUser(t.Context(), &spec)
	if spec.Username != "" || spec.Groups != nil || spec.Extra != nil {
		t.Errorf("without a user: %v", spec)
	}
}

func TestKeepApproval(t *testing.T) {
	t.Parallel()
	old := &certificatesv1.CertificateSigningRequest{}
	old.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: "Approved", Status: "True", Reason: "Mine"}}
	csr := old.DeepCopy()
	csr.Status.Conditions[0].Reason = "Yours"
	keepApproval(csr, old)
	if csr.Status.Conditions[0].Reason != "Mine" {
		t.Errorf("the reason of an approval changed to %q", csr.Status.Conditions[0].Reason)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	for want, status := range map[string]certificatesv1.CertificateSigningRequestStatus{
		"Pending":         {},
		"Approved,Issued": {Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: "Approved"}}, Certificate: []byte("x")},
		"Denied,Failed":   {Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: "Failed"}, {Type: "Denied"}}},
	} {
		if got := state(&certificatesv1.CertificateSigningRequest{Status: status}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
