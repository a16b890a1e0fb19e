package sync

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// authority is an authority that signs itself, and an issuer that signs with it.
const authority = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: itself, namespace: default}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: authority, namespace: default}
spec:
  isCA: true
  commonName: authority
  secretName: authority
  privateKey: {algorithm: ECDSA, size: 256}
  issuerRef: {name: itself, kind: Issuer}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: authority, namespace: default}
spec: {ca: {secretName: authority}}
`

func certificate(name, issuer, secret string) string {
	return fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: %[1]s, namespace: default}
spec: {secretName: %[3]s, dnsNames: [%[1]s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %[2]s, kind: Issuer}}
`, name, issuer, secret)
}

// issued waits for the certificate in a Secret of a consumer, and returns the authority that has signed it.
func (a *at) issued(name, secret string) (ca string) {
	a.t.Helper()
	got := a.secret(secret, "tls.crt")
	block, _ := pem.Decode(got.Data["tls.crt"])
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		a.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(got.Data["ca.crt"])
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name + ".example.com", Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil || got.Type != corev1.SecretTypeTLS {
		a.t.Errorf("the certificate %s of %s, of type %s: %v", name, a.path, got.Type, err)
	}
	annex.Eventually(a.t, func(ctx context.Context) error {
		obj, err := a.Resource(certificates).Namespace("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
		for _, c := range conditions {
			if seen, ok := c.(map[string]any)["observedGeneration"]; ok && seen != obj.GetGeneration() {
				return fmt.Errorf("the status is of generation %v, not %d", seen, obj.GetGeneration())
			}
		}
		return condition(obj, "Ready")
	})
	return string(got.Data["ca.crt"])
}

// namespace returns the namespace of the host that has the objects of the consumer's namespace default.
func (w *world) namespace(c *at) string {
	w.t.Helper()
	list, err := w.host.typed.CoreV1().Namespaces().List(w.t.Context(), metav1.ListOptions{LabelSelector: "sync.annex.dev/agent=certificates"})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range list.Items {
		if n := &list.Items[i]; n.Annotations["sync.annex.dev/cluster"] == c.cluster && n.Annotations["sync.annex.dev/workspace-namespace"] == "default" {
			return n.Name
		}
	}
	w.t.Fatalf("there is no namespace for %s among %d", c.path, len(list.Items))
	return ""
}

// Stock operators serve two consumers whose objects have the same names, while the agent is killed and started again.
func TestSync_StockOperators(t *testing.T) {
	w := newWorld(t)
	w.operate("cert-manager", "trust-manager")
	agent := w.startAgent()
	alpha, beta := w.consumer("alpha"), w.consumer("beta")
	for _, c := range []*at{alpha, beta} {
		c.create(authority)
		c.create(certificate("web", "authority", "web-tls"))
	}
	signers := map[string]bool{}
	for _, c := range []*at{alpha, beta} {
		signers[c.issued("web", "web-tls")] = true
	}
	if len(signers) != 2 {
		t.Error("two consumers have one authority")
	}
	here, there := w.namespace(alpha), w.namespace(beta)

	w.bundles(alpha, signers)
	w.killed(agent, alpha, beta)
	w.ownAuthority(alpha, beta)
	w.nothingForeign(alpha, here)
	w.corrected(alpha, here)
	w.definitionChanges(alpha)

	// A consumer that goes takes only its own along.
	if err := beta.Resource(bindings).Delete(t.Context(), "certificates", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	beta.gone(bindings, "", "certificates")
	annex.Eventually(t, func(ctx context.Context) error {
		namespace, err := w.host.typed.CoreV1().Namespaces().Get(ctx, there, metav1.GetOptions{})
		if err != nil || namespace.DeletionTimestamp == nil {
			return fmt.Errorf("the namespace of a consumer that is gone: %v, %w", namespace.Status, err)
		}
		list, err := w.host.Resource(certificates).Namespace(there).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			return fmt.Errorf("%d Certificates are left", len(list.Items))
		}
		return err
	})
	if _, err := beta.typed.CoreV1().Secrets("default").Get(t.Context(), "web-tls", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the copy of a Secret stays: %v", err)
	}
	if _, err := beta.typed.CoreV1().Secrets("default").Get(t.Context(), "own", metav1.GetOptions{}); err != nil {
		t.Errorf("the user's own Secret: %v", err)
	}
	alpha.issued("web", "web-tls")
	if namespace, err := w.host.typed.CoreV1().Namespaces().Get(t.Context(), here, metav1.GetOptions{}); err != nil || namespace.DeletionTimestamp != nil {
		t.Errorf("the namespace of the other consumer: %v, %v", namespace, err)
	}
}

// bundles lets a consumer have a bundle in one namespace, of a resource that is for a whole cluster.
func (w *world) bundles(c *at, signers map[string]bool) {
	w.t.Helper()
	var pems []string
	for signer := range signers {
		pems = append(pems, "        "+strings.ReplaceAll(strings.TrimSpace(signer), "\n", "\n        "))
	}
	bundle := "apiVersion: trust.cert-manager.io/v1alpha1\nkind: TrustBundle\nmetadata: {name: %s, namespace: default}\nspec:\n  sources:\n  - %s\n  target: {configMap: {key: ca.crt}}\n"
	c.create(fmt.Sprintf(bundle, "trusted", "inLine: |\n"+strings.Join(pems, "\n")))
	annex.Eventually(w.t, func(ctx context.Context) error {
		got, err := c.typed.CoreV1().ConfigMaps("default").Get(ctx, "trusted", metav1.GetOptions{})
		if err == nil && strings.Count(got.Data["ca.crt"], "BEGIN CERTIFICATE") != len(signers) {
			return fmt.Errorf("the bundle is %q", got.Data["ca.crt"])
		}
		return err
	})
	all, err := w.host.typed.CoreV1().ConfigMaps("").List(w.t.Context(), metav1.ListOptions{LabelSelector: "trust.cert-manager.io/bundle"})
	if err != nil || len(all.Items) != 1 || all.Items[0].Namespace != w.namespace(c) {
		w.t.Errorf("the bundle is in %v, %v", all, err)
	}
	// What the operator may read there is not for consumers.
	c.create(fmt.Sprintf(bundle, "stolen", "secret: {name: secret, key: ca.crt}"))
	c.told("SyncRefused", "stolen", "spec.sources[*].secret")
	list, err := w.host.Resource(bundles).List(w.t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		w.t.Errorf("bundles of the host: %v, %v", list, err)
	}
	for _, name := range []string{"stolen", "trusted"} {
		if err := c.Resource(trustBundles).Namespace("default").Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
			w.t.Fatal(err)
		}
		c.gone(trustBundles, "default", name)
	}
	c.gone(corev1.SchemeGroupVersion.WithResource("configmaps"), "default", "trusted")
}

// killed kills the agent while it is at work. Its successor finishes it, and sees what happened meanwhile.
func (w *world) killed(agent *process.Process, alpha, beta *at) {
	w.t.Helper()
	for i := range 8 {
		for _, c := range []*at{alpha, beta} {
			c.create(certificate(fmt.Sprintf("many-%d", i), "authority", fmt.Sprintf("many-%d", i)))
		}
		if i == 4 {
			agent.Kill()
			if err := alpha.Resource(certificates).Namespace("default").Delete(w.t.Context(), "many-0", metav1.DeleteOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.startAgent()
	for i := range 8 {
		name := fmt.Sprintf("many-%d", i)
		beta.issued(name, name)
		if i > 0 {
			alpha.issued(name, name)
		}
	}
	alpha.gone(certificates, "default", "many-0")
	w.host.gone(certificates, w.namespace(alpha), "many-0")
	alpha.gone(secrets, "default", "many-0")
}

// ownAuthority lets a consumer bring an authority of its own, which is a Secret in its workspace; it is the other one's.
func (w *world) ownAuthority(from, to *at) {
	w.t.Helper()
	key := from.secret("authority", "tls.key")
	own := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: "default"}, Type: key.Type, Data: key.Data}
	if _, err := to.typed.CoreV1().Secrets("default").Create(w.t.Context(), own, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	to.create("apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own, namespace: default}\nspec: {ca: {secretName: own}}")
	to.create(certificate("mine", "own", "mine"))
	if to.issued("mine", "mine") != string(key.Data["ca.crt"]) {
		w.t.Error("another authority has signed")
	}
	copied, err := w.host.typed.CoreV1().Secrets(w.namespace(to)).Get(w.t.Context(), "own", metav1.GetOptions{})
	if err != nil || len(copied.Data) != 2 {
		w.t.Errorf("the copy has %d keys, %v", len(copied.Data), err)
	}
	// What was copied goes with what needs it.
	if err := to.Resource(issuers).Namespace("default").Delete(w.t.Context(), "own", metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.host.gone(secrets, w.namespace(to), "own")
	to.secret("own", "tls.key")
}

// nothingForeign has objects in the way on both sides, which nobody touches.
func (w *world) nothingForeign(c *at, namespace string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.host.create(strings.Replace(certificate("taken", "nobody", "taken"), "default", namespace, 1))
	before, err := w.host.Resource(certificates).Namespace(namespace).Get(ctx, "taken", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.typed.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "users"}, Data: map[string][]byte{"a": []byte("b")}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	c.create(certificate("taken", "authority", "taken"))
	c.create(certificate("overwrites", "authority", "users"))
	c.told("SyncNameTaken", "taken", "was not made by annex-sync")
	c.told("SyncNameTaken", "overwrites", `secrets "users"`)
	for _, name := range []string{"taken", "overwrites"} {
		if err := c.Resource(certificates).Namespace("default").Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			w.t.Fatal(err)
		}
		c.gone(certificates, "default", name)
	}
	after, err := w.host.Resource(certificates).Namespace(namespace).Get(ctx, "taken", metav1.GetOptions{})
	if err != nil || after.GetUID() != before.GetUID() || after.GetGeneration() != before.GetGeneration() || len(after.GetLabels()) > 0 {
		w.t.Errorf("the object in the way is now %v, %v", after, err)
	}
	if got := c.secret("users", "a"); string(got.Data["a"]) != "b" || len(got.Data) != 1 {
		w.t.Errorf("the Secret in the way is now %v", got.Data)
	}
}

// corrected changes what was synchronized, on both sides.
func (w *world) corrected(c *at, namespace string) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := c.typed.CoreV1().Secrets("default").Patch(ctx, "web-tls", types.MergePatchType, []byte(`{"data":{"ca.crt":"eA=="}}`), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
	on := w.host.Resource(certificates).Namespace(namespace)
	if _, err := on.Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"dnsNames":["evil.example.com"],"revisionHistoryLimit":7}}`), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
	annex.Eventually(w.t, func(ctx context.Context) error {
		got, err := on.Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		names, _, _ := unstructured.NestedStringSlice(got.Object, "spec", "dnsNames")
		// What the consumer has not set is for others to set.
		if limit, _, _ := unstructured.NestedInt64(got.Object, "spec", "revisionHistoryLimit"); limit != 7 || len(names) != 1 || names[0] != "web.example.com" {
			return fmt.Errorf("the spec is %v", got.Object["spec"])
		}
		secret, err := c.typed.CoreV1().Secrets("default").Get(ctx, "web-tls", metav1.GetOptions{})
		if err == nil && string(secret.Data["ca.crt"]) == "x" {
			return errors.New("the copy is not corrected")
		}
		return err
	})
	// A field that the consumer takes away goes, too.
	if _, err := c.Resource(certificates).Namespace("default").Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"privateKey":null,"duration":"48h"}}`), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
	annex.Eventually(w.t, func(ctx context.Context) error {
		got, err := on.Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		spec, _, _ := unstructured.NestedMap(got.Object, "spec")
		if _, there := spec["privateKey"]; there || spec["duration"] == nil || spec["revisionHistoryLimit"] == nil {
			return fmt.Errorf("the spec is %v", spec)
		}
		return nil
	})
	c.issued("web", "web-tls")
}

// definitionChanges adds a field on the host, which consumers can use then.
func (w *world) definitionChanges(c *at) {
	w.t.Helper()
	patch := `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/extra","value":{"type":"string"}}]`
	if _, err := w.host.Resource(definitions).Patch(w.t.Context(), "issuers.cert-manager.io", types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
	extended := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": map[string]any{"name": "extended", "namespace": "default"},
		"spec": map[string]any{"selfSigned": map[string]any{}, "extra": "new"},
	}}
	annex.Eventually(w.t, func(ctx context.Context) error {
		_, err := c.Resource(issuers).Namespace("default").Create(ctx, extended, metav1.CreateOptions{FieldValidation: "Strict"})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	annex.Eventually(w.t, func(ctx context.Context) error {
		got, err := w.host.Resource(issuers).Namespace(w.namespace(c)).Get(ctx, "extended", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if extra, _, _ := unstructured.NestedString(got.Object, "spec", "extra"); extra != "new" {
			return fmt.Errorf("the counterpart is %v", got.Object["spec"])
		}
		return nil
	})
}
