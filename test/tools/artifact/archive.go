package artifact

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// Entry is a file of an archive, or a directory when its name ends in a slash.
type Entry struct {
	Name    string // without a leading slash
	Mode    int64
	Owner   int // user and group
	Size    int64
	Content io.Reader // nil for a directory
}

// File is an entry that everybody may read.
func File(name string, content []byte) Entry {
	return Entry{Name: name, Mode: 0o644, Size: int64(len(content)), Content: bytes.NewReader(content)}
}

// Directory is an entry that everybody may enter.
func Directory(name string) Entry { return Entry{Name: name + "/", Mode: 0o755} }

// WriteTar writes entries in their order, all with the same time.
func WriteTar(w io.Writer, modified time.Time, entries []Entry) error {
	archive := tar.NewWriter(w)
	for _, e := range entries {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Name: e.Name, Mode: e.Mode, Uid: e.Owner, Gid: e.Owner, Size: e.Size, ModTime: modified,
		}
		if e.Content == nil {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("adding %s: %w", e.Name, err)
		}
		if e.Content == nil {
			continue
		}
		if _, err := io.Copy(archive, e.Content); err != nil {
			return fmt.Errorf("adding %s: %w", e.Name, err)
		}
	}
	return archive.Close()
}

// WriteTarGzip is WriteTar through gzip, with an empty header: no name, no time.
func WriteTarGzip(w io.Writer, modified time.Time, entries []Entry) error {
	compressed := gzip.NewWriter(w)
	if err := WriteTar(compressed, modified, entries); err != nil {
		return err
	}
	return compressed.Close()
}

// WriteZip writes entries in their order, all with the same time. A zip knows no owners.
func WriteZip(w io.Writer, modified time.Time, entries []Entry) error {
	archive := zip.NewWriter(w)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: modified.UTC()}
		header.SetMode(fs.FileMode(e.Mode))
		if e.Content == nil {
			header.Method = zip.Store
			header.SetMode(fs.ModeDir | fs.FileMode(e.Mode))
		}
		file, err := archive.CreateHeader(header)
		if err != nil {
			return fmt.Errorf("adding %s: %w", e.Name, err)
		}
		if e.Content == nil {
			continue
		}
		if _, err := io.Copy(file, e.Content); err != nil {
			return fmt.Errorf("adding %s: %w", e.Name, err)
		}
	}
	return archive.Close()
}
