package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// allowed are the questions that are answered with yes, each as "cluster verb name".
type allowed struct {
	questions []string
	err       error
}

func (a allowed) Authorize(_ context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetAPIGroup() == "certificates.k8s.io" && attrs.GetResource() == "signers" && attrs.IsResourceRequest() &&
		slices.Contains(a.questions, cluster.String()+" "+attrs.GetVerb()+" "+attrs.GetName()) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", a.err
}

func attributes(csr, old *certificatesv1.CertificateSigningRequest, subresource string) admission.Attributes {
	operation := admission.Update
	if old == nil {
		operation = admission.Create
	}
	record := func(old runtime.Object) admission.Attributes {
		return admission.NewAttributesRecord(csr, old, certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), "", "a",
			requests.WithVersion("v1"), subresource, operation, nil, false, &user.DefaultInfo{Name: "alice"})
	}
	if old == nil {
		return record(nil)
	}
	return record(old)
}

func of(signer string) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer}}
}

func TestPlugin_NeedsTheSigner(t *testing.T) {
	t.Parallel()
	signed := of("example.com/a")
	signed.Status.Certificate = []byte("x")
	failed := of("example.com/a")
	failed.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: "Failed"}}
	for name, tt := range map[string]struct {
		subresource string
		now         *certificatesv1.CertificateSigningRequest
		allowed     []string
		want        bool
	}{
		"approval":                       {"approval", of("example.com/a"), []string{"w approve example.com/a"}, true},
		"approval of the domain":         {"approval", of("example.com/a"), []string{"w approve example.com/*"}, true},
		"approval without the right":     {"approval", of("example.com/a"), nil, false},
		"approval with another right":    {"approval", of("example.com/a"), []string{"w sign example.com/a"}, false},
		"approval of another signer":     {"approval", of("example.com/b"), []string{"w approve example.com/b"}, false},
		"right in another workspace":     {"approval", of("example.com/a"), []string{"v approve example.com/a"}, false},
		"certificate":                    {"status", signed, []string{"w sign example.com/a"}, true},
		"certificate without the right":  {"status", signed, []string{"w approve example.com/a"}, false},
		"condition without the right":    {"status", failed, nil, false},
		"status that says nothing":       {"status", of("example.com/a"), nil, true},
		"what is not about certificates": {"", of("example.com/a"), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugin := New(allowed{questions: tt.allowed}).(admission.ValidationInterface)
			err := plugin.Validate(logicalcluster.WithCluster(t.Context(), "w"), attributes(tt.now, of("example.com/a"), tt.subresource), nil)
			if tt.want != (err == nil) || err != nil && !apierrors.IsForbidden(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPlugin_FailsClosed(t *testing.T) {
	t.Parallel()
	old := of("example.com/a")
	plugin := New(allowed{err: errors.New("unreadable")}).(admission.ValidationInterface)
	if err := plugin.Validate(logicalcluster.WithCluster(t.Context(), "w"), attributes(old, old, "approval"), nil); err == nil {
		t.Error("what cannot be decided is allowed")
	}
	plugin = New(allowed{questions: []string{" approve example.com/a"}}).(admission.ValidationInterface)
	if err := plugin.Validate(t.Context(), attributes(old, old, "approval"), nil); err == nil {
		t.Error("a request without a cluster is allowed")
	}
}

// Nobody may even ask for a certificate that would make an administrator of a cluster.
func TestPlugin_RestrictsTheSubject(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		signer, organization string
		want                 bool
	}{
		"administrator":           {certificatesv1.KubeAPIServerClientSignerName, "system:masters", false},
		"team":                    {certificatesv1.KubeAPIServerClientSignerName, "team", true},
		"administrator elsewhere": {"example.com/a", "system:masters", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"a", tt.organization}}}, key)
			if err != nil {
				t.Fatal(err)
			}
			csr := of(tt.signer)
			csr.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
			err = New(allowed{}).(admission.ValidationInterface).Validate(logicalcluster.WithCluster(t.Context(), "w"), attributes(csr, nil, ""), nil)
			if tt.want != (err == nil) || err != nil && !apierrors.IsForbidden(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}
