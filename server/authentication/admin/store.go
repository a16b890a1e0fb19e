package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readStore returns the hashes in the store by user: lines of "name hash", hash in hexadecimal. It returns none if there is
// no store.
func readStore(path string) (map[string]hash, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, describe("reading the hashes of the administrators' tokens in", path, err)
	}
	out := map[string]hash{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		sum, err := hex.DecodeString(value)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("reading the hashes of the administrators' tokens: %s does not contain lines of user and SHA-256 hash; remove it to get new tokens", path)
		}
		out[name] = hash(sum)
	}
	return out, nil
}

func writeStore(path string, hashes map[string]hash) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(hashes)) {
		sum := hashes[name]
		fmt.Fprintf(&b, "%s %s\n", name, hex.EncodeToString(sum[:]))
	}
	return writeFile(path, []byte(b.String()))
}

// writeFile replaces the file atomically. Only the owner can read the new file, whatever its mode was.
func writeFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return describe("making the directory", dir, err)
	}
	// Follow a link, so that it stays a link.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return describe("writing", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return describe("writing", path, err)
	}
	return nil
}
