package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// newRequest returns a request for a client certificate of alice, who is said to be in the group of operators of the server.
func newRequest(t *testing.T, key *ecdsa.PrivateKey, name, signer string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	subject := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "root", Organization: []string{"system:kcp:admin"}}}
	der, err := x509.CreateCertificateRequest(rand.Reader, subject, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), SignerName: signer,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}
}

func approve(t *testing.T, typed kubernetes.Interface, csr *certificatesv1.CertificateSigningRequest) (*certificatesv1.CertificateSigningRequest, error) {
	t.Helper()
	csr = csr.DeepCopy()
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: "True", Reason: "Test"}}
	return typed.CertificatesV1().CertificateSigningRequests().UpdateApproval(t.Context(), csr.Name, csr, metav1.UpdateOptions{})
}

// A certificate of the server's own authority would be an identity in every workspace: nothing in the server signs one, whoever approves.
func TestCertificates_NothingSigns(t *testing.T) {
	s := start(t)
	path, other := workspace(t, s), workspace(t, s)
	typed, err := kubernetes.NewForConfig(s.Workspace(path))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	requests := typed.CertificatesV1().CertificateSigningRequests()
	var approved []string
	for _, signer := range []string{
		certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName, "example.com/own",
	} {
		csr, err := requests.Create(t.Context(), newRequest(t, key, uniqueName("csr"), signer), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := approve(t, typed, csr); err != nil {
			t.Fatal(err)
		}
		approved = append(approved, csr.Name)
	}
	admins := newRequest(t, key, uniqueName("csr"), certificatesv1.KubeAPIServerClientSignerName)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"system:masters"}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	admins.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	if _, err := requests.Create(t.Context(), admins, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a request for system:masters: %v", err)
	}
	// What the server does after an approval, it does at once: other controllers have done their work on all of these by then.
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		for _, name := range approved {
			csr, err := requests.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil || len(csr.Status.Certificate) > 0 || len(csr.Status.Conditions) != 1 {
				t.Fatalf("%s: %v, %v", name, csr, err)
			}
		}
	}
	elsewhere, err := kubernetes.NewForConfig(s.Workspace(other))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := elsewhere.CertificatesV1().CertificateSigningRequests().List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("another workspace shows %v, %v", list, err)
	}
}

// A signer of a workspace signs with an authority of its own, which nobody outside of it has to trust.
func TestCertificates_SignersOfAWorkspace(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admin, err := kubernetes.NewForConfig(s.Workspace(path))
	if err != nil {
		t.Fatal(err)
	}
	user, err := kubernetes.NewForConfig(s.As(token(alice), path))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := admin.CertificatesV1().CertificateSigningRequests().Create(t.Context(), newRequest(t, key, uniqueName("csr"), "example.com/own"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grant(t, admin, "updates-requests", rbacv1.PolicyRule{
		APIGroups: []string{"certificates.k8s.io"}, Verbs: []string{"get", "update"},
		Resources: []string{"certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"},
	}, rbacv1.PolicyRule{Verbs: []string{"access"}, NonResourceURLs: []string{"/"}})
	eventually(t, "alice reads the request", func(ctx context.Context) (bool, error) {
		_, err := user.CertificatesV1().CertificateSigningRequests().Get(ctx, csr.Name, metav1.GetOptions{})
		return err == nil, nil
	})
	if _, err := approve(t, user, csr); !apierrors.IsForbidden(err) {
		t.Errorf("approved without the right: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root", Organization: []string{"system:masters"}}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	sign := func() error {
		signed := csr.DeepCopy()
		signed.ResourceVersion, signed.Status.Certificate = "", certificate
		_, err := user.CertificatesV1().CertificateSigningRequests().UpdateStatus(t.Context(), signed, metav1.UpdateOptions{})
		return err
	}
	if err := sign(); !apierrors.IsForbidden(err) {
		t.Errorf("signed without the right: %v", err)
	}
	grant(t, admin, "signs", rbacv1.PolicyRule{APIGroups: []string{"certificates.k8s.io"}, Verbs: []string{"approve", "sign"}, Resources: []string{"signers"}, ResourceNames: []string{"example.com/*"}})
	eventually(t, "alice signs", func(context.Context) (bool, error) {
		err := sign()
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
	// To the server, the certificate is worth nothing.
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(s.Workspace(path))
	config.CertData, config.KeyData = certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
	stranger, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) && !apierrors.IsForbidden(err) {
		t.Errorf("with a certificate of a workspace's signer: %v", err)
	}
}

// grant gives alice rights.
func grant(t *testing.T, admin kubernetes.Interface, name string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	if _, err := admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: alice}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
