package serving

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// given is a CA and a certificate that it signed, PEM.
type given struct{ ca, cert, key []byte }

func newGiven(t *testing.T, names ...string) given {
	t.Helper()
	as, err := authorities(nil).next(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := as[0].issue(time.Now(), names)
	if err != nil {
		t.Fatal(err)
	}
	key, err := encodeKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	return given{ca: as.bundle(), cert: encodeCertificate(leaf.certificate), key: key}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, files *Files) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); files.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// A Secret that is mounted changes like this: its files are links through one directory that is swapped.
func TestFiles_FollowASecret(t *testing.T) {
	mount := t.TempDir()
	put := func(generation string, g given) {
		dir := filepath.Join(mount, generation)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "ca.crt"), g.ca)
		write(t, filepath.Join(dir, "tls.crt"), g.cert)
		write(t, filepath.Join(dir, "tls.key"), g.key)
		if err := os.Symlink(generation, filepath.Join(mount, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..new"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	before, after := newGiven(t, "one.example.com"), newGiven(t, "two.example.com")
	put("..1", before)
	var paths []string
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		paths = append(paths, filepath.Join(mount, name))
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := NewFiles(paths[0], paths[1], paths[2])
	if err != nil {
		t.Fatal(err)
	}
	run(t, files)
	bundle, outdated := files.Watch()
	if !bytes.Equal(bundle, before.ca) || files.Covers("one.example.com") != nil {
		t.Fatal("the first files are not those that are used")
	}
	address := serve(t, files.Certificate())
	if _, err := shake(address, "one.example.com", bundle, time.Now()); err != nil {
		t.Fatal(err)
	}

	put("..2", after)
	if err := os.RemoveAll(filepath.Join(mount, "..1")); err != nil { // as kubelet does; it is this that watchers see
		t.Fatal(err)
	}
	eventually(t, func() error {
		select {
		case <-outdated:
		default:
			return errors.New("nobody was told of the new CA")
		}
		bundle, _ := files.Watch()
		if !bytes.Equal(bundle, after.ca) {
			return errors.New("the bundle is not the new one")
		}
		_, err := shake(address, "two.example.com", bundle, time.Now())
		return err
	})
	if files.Covers("one.example.com") == nil {
		t.Error("the old name is still covered")
	}
}

func TestFiles_CertificateIsItsOwnCA(t *testing.T) {
	dir := t.TempDir()
	g := newGiven(t, "one.example.com")
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	// Somebody keeps both in one file, with a note.
	write(t, cert, bytes.Join([][]byte{[]byte("# bought in May\n"), g.cert, g.key, g.ca}, nil))
	write(t, key, g.key)
	files, err := NewFiles(cert, key, "")
	if err != nil {
		t.Fatal(err)
	}
	bundle, _ := files.Watch()
	if want := append(bytes.Clone(g.cert), g.ca...); !bytes.Equal(bundle, want) {
		t.Errorf("the bundle is %q", bundle)
	}
	if strings.Contains(string(bundle), "KEY") {
		t.Error("the bundle holds a key")
	}
}

func TestFiles_ThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	one, two := newGiven(t, "one.example.com"), newGiven(t, "two.example.com")
	cert, key, ca := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt")
	write(t, cert, one.cert)
	write(t, key, two.key)
	write(t, ca, one.ca)
	if _, err := NewFiles(cert, key, ca); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("NewFiles() = %v, want an error that names the file", err)
	}
	write(t, key, one.key)
	write(t, ca, []byte("nothing"))
	if _, err := NewFiles(cert, key, ca); err == nil || !strings.Contains(err.Error(), ca) {
		t.Errorf("NewFiles() = %v, want an error that names the file", err)
	}
}
