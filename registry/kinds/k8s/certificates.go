package k8s

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// AddCertificates adds CertificateSigningRequests. The other kinds of certificates.k8s.io are about pods and about trust between them.
func AddCertificates(s *runtime.Scheme) error {
	s.AddKnownTypes(certificatesv1.SchemeGroupVersion, &certificatesv1.CertificateSigningRequest{}, &certificatesv1.CertificateSigningRequestList{})
	metav1.AddToGroupVersion(s, certificatesv1.SchemeGroupVersion)
	return addLabels(s, certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), false, map[string]string{"spec.signerName": "spec.signerName"})
}
