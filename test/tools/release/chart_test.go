package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/tools/oci"
)

// registry serves what an OCI archive holds, as a registry does that it was pushed to.
func registry(t *testing.T, archive []byte) *httptest.Server {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
	var index oci.Index
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	serve := func(w http.ResponseWriter, r *http.Request, digest, mediaType string) {
		content, there := files["blobs/"+strings.Replace(digest, ":", "/", 1)]
		if !there {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", digest)
		_, _ = w.Write(content)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v2/charts/annex/blobs/{digest}", func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, r.PathValue("digest"), "application/octet-stream")
	})
	mux.HandleFunc("GET /v2/charts/annex/manifests/{reference}", func(w http.ResponseWriter, r *http.Request) {
		for _, m := range index.Manifests {
			if reference := r.PathValue("reference"); reference == m.Digest || reference == m.Annotations[oci.AnnotationReference] {
				serve(w, r, m.Digest, m.MediaType)
				return
			}
		}
		http.NotFound(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// Helm pulls the chart from a registry to which the OCI archive was copied, and gets the package of the release.
func TestChart_HelmPullsTheArtifact(t *testing.T) {
	helm, err := annex.Program("helm")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := written(t, testOptions(t))
	url := registry(t, files["annex-chart-"+testVersion+".tar"]).URL
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), helm, args...)
		command.Env = append(os.Environ(), "HOME="+dir)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("pull", "oci"+strings.TrimPrefix(url, "http")+"/charts/annex", "--version", testBare, "--plain-http", "--destination", dir)
	got, err := os.ReadFile(filepath.Join(dir, "annex-"+testBare+".tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, files["annex-"+testBare+".tgz"]) {
		t.Error("helm pulls another package")
	}
	// What it renders has the image of the release.
	if out := run("template", "annex", filepath.Join(dir, "annex-"+testBare+".tgz")); !strings.Contains(out, "image: \"annex:"+testBare+"\"") && !strings.Contains(out, "image: annex:"+testBare) {
		t.Errorf("the chart does not render the image annex:%s", testBare)
	}
}
