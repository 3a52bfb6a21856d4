package server

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/opnfv/clover/visibility"
)

// defaultPage is the length of a page of metrics or of the ledger.
const defaultPage = 1000

// page cuts a page out of a list that is sorted by key, which each element
// has of its own. Its token is the key of the last element before it, so that
// nothing is left out or repeated when the list grows between two pages.
func page[T any](list []T, size int32, token string, key func(*T) [2]string) ([]T, string, error) {
	if size < 0 || size > visibility.MaxLimit {
		return nil, "", invalid(fmt.Sprintf("page_size: %d is not between 1 and %d", size, visibility.MaxLimit))
	}
	if size == 0 {
		size = defaultPage
	}
	if token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		first, second, ok := strings.Cut(string(text), "\x00")
		if err != nil || !ok {
			return nil, "", invalid(fmt.Sprintf("page_token: %q is not a token of an answer before", token))
		}
		after := [2]string{first, second}
		i := slices.IndexFunc(list, func(e T) bool { k := key(&e); return slices.Compare(k[:], after[:]) > 0 })
		if i < 0 {
			return nil, "", nil
		}
		list = list[i:]
	}
	if len(list) <= int(size) {
		return list, "", nil
	}
	last := key(&list[size-1])
	return list[:size], base64.RawURLEncoding.EncodeToString([]byte(last[0] + "\x00" + last[1])), nil
}
