/* A text as a QR code (ISO/IEC 18004, by libqrencode) in an SVG document
 * without styles and scripts. No I/O. */
#ifndef CONSOLE_LOGIN_QR_SVG_H
#define CONSOLE_LOGIN_QR_SVG_H

/* text: at most a few hundred bytes. Heap; NULL: no memory, or too long. */
char *qr_svg(const char *text);

#endif
