package parity

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// newConverter starts the webhook that converts lamps (corpus/fixtures/lamps.yaml) for both servers. Version v1 has the power as a text, v2 the
// watts as a number. An object says by spec.trick what is to be wrong with its conversion.
func newConverter() *httptest.Server { return httptest.NewTLSServer(http.HandlerFunc(serveConversion)) }

// converterVariables are those by which a definition names the webhook.
func converterVariables(s *httptest.Server) map[string]any {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return map[string]any{"webhook": s.URL, "ca": base64.StdEncoding.EncodeToString(ca)}
}

func serveConversion(w http.ResponseWriter, r *http.Request) {
	var review apiextensionsv1.ConversionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, fmt.Sprintf("no request for a conversion: %v", err), http.StatusBadRequest)
		return
	}
	review.Response = &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	var tricks []string
	for _, raw := range review.Request.Objects {
		lamp := map[string]any{}
		if err := json.Unmarshal(raw.Raw, &lamp); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		trick, _, _ := unstructured.NestedString(lamp, "spec", "trick")
		tricks = append(tricks, trick)
		data, err := json.Marshal(convertLamp(lamp, review.Request.DesiredAPIVersion, trick))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		review.Response.ConvertedObjects = append(review.Response.ConvertedObjects, runtime.RawExtension{Raw: data})
	}
	review.Request = nil
	for _, trick := range tricks {
		if answered := spoil(w, &review, trick); answered {
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(&review)
}

// convertLamp returns what a lamp is in another version. Some tricks change it.
func convertLamp(lamp map[string]any, to, trick string) any {
	lamp["apiVersion"] = to
	if spec, ok := lamp["spec"].(map[string]any); ok {
		watts, hasWatts := spec["watts"]
		power, hasPower := spec["power"]
		switch {
		case strings.HasSuffix(to, "/v1") && hasWatts:
			spec["power"] = fmt.Sprint(watts)
		case strings.HasSuffix(to, "/v2") && hasPower:
			var n int
			_, _ = fmt.Sscan(fmt.Sprint(power), &n)
			spec["watts"] = n
		}
		if strings.HasSuffix(to, "/v1") {
			delete(spec, "watts")
		} else {
			delete(spec, "power")
		}
	}
	metadata, _ := lamp["metadata"].(map[string]any)
	switch key, value, _ := strings.Cut(trick, "="); key {
	case "metadata": // metadata=<JSON> with fields that replace those of the object
		changed := map[string]any{}
		_ = json.Unmarshal([]byte(value), &changed)
		for field, value := range changed {
			if metadata[field] = value; value == nil {
				delete(metadata, field)
			}
		}
	case "object": // object=<JSON> likewise
		changed := map[string]any{}
		_ = json.Unmarshal([]byte(value), &changed)
		for field, value := range changed {
			if lamp[field] = value; value == nil {
				delete(lamp, field)
			}
		}
	case "null":
		return nil
	case "text":
		return "lamp"
	}
	return lamp
}

// spoil changes the answer as a trick says. It reports whether it has answered itself.
func spoil(w http.ResponseWriter, review *apiextensionsv1.ConversionReview, trick string) bool {
	switch trick {
	case "other uid":
		review.Response.UID = "other"
	case "no uid":
		review.Response.UID = ""
	case "no response":
		review.Response = nil
	case "no result":
		review.Response.Result = metav1.Status{}
	case "failure":
		review.Response.Result = metav1.Status{Status: metav1.StatusFailure, Message: "not today", Reason: "Tired", Code: http.StatusTeapot}
	case "failure without a message":
		review.Response.Result = metav1.Status{Status: metav1.StatusFailure}
	case "fewer":
		review.Response.ConvertedObjects = nil
	case "more":
		review.Response.ConvertedObjects = append(review.Response.ConvertedObjects, review.Response.ConvertedObjects...)
	case "other kind of review":
		review.Kind = "Review"
	case "other version of review":
		review.APIVersion = "apiextensions.k8s.io/v9"
	case "code 500":
		http.Error(w, "broken", http.StatusInternalServerError)
		return true
	case "code 404":
		http.NotFound(w, nil)
		return true
	case "code 429":
		http.Error(w, "busy", http.StatusTooManyRequests)
		return true
	case "html":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html></html>"))
		return true
	case "empty":
		return true
	}
	return false
}
